import { type ChildProcess, fork } from 'node:child_process'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { Test } from 'tap'

export const root: string = fileURLToPath(new URL('../..', import.meta.url))

/** What starts a process that runs TypeScript as this one does. Tap adds its own where it measures coverage. */
export const loader: string[] = process.execArgv.filter(arg => !arg.includes('/@tapjs/'))

/** Tap measures the coverage of child processes too, which here would be that of dist/ and of their memory. */
export function withoutCoverage (env: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  return { ...process.env, _TAPJS_PROCESSINFO_COVERAGE_: '0', ...env }
}

/** A Node process. The test can wait for lines of its output, errors included. */
export class Child {
  readonly lines: string[] = []
  readonly exit: Promise<{ code: number | null, signal: NodeJS.Signals | null }>
  readonly #process: ChildProcess
  #ended = false
  #wanted: { pattern: RegExp, resolve: (match: RegExpMatchArray) => void, reject: (error: Error) => void }[] = []

  constructor (t: Test, file: string, args: string[] = [], env: NodeJS.ProcessEnv = {}, cwd: string = root) {
    const execArgv = [...(file.endsWith('.ts') ? loader : []), '--import', pathToFileURL(join(root, 'test/fixtures/leash.js')).href]
    const child = this.#process = fork(resolve(cwd, file), args, { cwd, execArgv, env: withoutCoverage(env), silent: true })
    t.teardown(() => child.kill('SIGKILL'))
    for (const stream of [child.stdout!, child.stderr!]) createInterface(stream).on('line', line => this.#take(line))
    this.exit = new Promise(resolve => {
      child.once('close', (code, signal) => {
        this.#end()
        resolve({ code, signal })
      })
    })
  }

  /** The first line that matches, said already or to come. Rejects if the output ends without it. */
  async line (pattern: RegExp): Promise<RegExpMatchArray> {
    for (const line of this.lines) {
      const match = pattern.exec(line)
      if (match !== null) return match
    }
    if (this.#ended) throw this.#missing(pattern)
    return new Promise((resolve, reject) => this.#wanted.push({ pattern, resolve, reject }))
  }

  /** Without a chance to clean up. Resolves once it is gone. */
  async kill (): Promise<void> {
    this.#process.kill('SIGKILL')
    await this.exit
  }

  terminate (): void {
    if (process.platform === 'win32') this.#process.send('SIGTERM')
    else this.#process.kill('SIGTERM')
  }

  #take (line: string): void {
    this.lines.push(line)
    this.#wanted = this.#wanted.filter(({ pattern, resolve }) => {
      const match = pattern.exec(line)
      if (match !== null) resolve(match)
      return match === null
    })
  }

  #end (): void {
    this.#ended = true
    for (const { pattern, reject } of this.#wanted) reject(this.#missing(pattern))
  }

  #missing (pattern: RegExp): Error {
    return new Error(`no line of output matched ${pattern}:\n${this.lines.join('\n')}`)
  }
}
