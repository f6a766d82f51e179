import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { root } from './child.ts'

export interface Report {
  /** For people: it may lack its end. */
  output: string
  passed: number
  failed: string[]
  skipped: string[]
}

const folder = join(root, 'test/fixtures/conformance')
const reporters = ['tap', join(folder, 'reporter.js')].flatMap(reporter => [`--test-reporter=${reporter}`, '--test-reporter-destination=stdout'])

/** Runs the suite, in a process of its own, against one of the adapters in test/fixtures/conformance/adapters.js. */
export async function runConformance (name: string, execArgv: string[], env: NodeJS.ProcessEnv): Promise<Report> {
  const directory = mkdtempSync(join(tmpdir(), 'background-tasks-conformance-'))
  const REPORT = join(directory, 'report')
  writeFileSync(REPORT, '')
  const args = [...execArgv, ...reporters, join(folder, 'run.js'), name]
  const output = await new Promise<string>(resolve => {
    execFile(process.execPath, args, { cwd: root, env: { ...env, REPORT }, maxBuffer: 2 ** 26 }, (_error, stdout, stderr) => resolve(stdout + stderr))
  })
  const tests = readFileSync(REPORT, 'utf8').split('\n').filter(line => line !== '').map(line => JSON.parse(line) as { name: string, result: string })
  rmSync(directory, { recursive: true })
  const named = (wanted: string): string[] => tests.filter(({ result }) => result === wanted).map(({ name }) => name)
  return { output, passed: named('passed').length, failed: named('failed'), skipped: named('skipped') }
}
