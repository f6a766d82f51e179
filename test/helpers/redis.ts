import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Redis } from 'ioredis'
import type { Test } from 'tap'
import { latch } from './latch.ts'
import { problemOf, runningRedis, withoutRedisServer } from './redis-at-hand.js'

export { skipWithoutRedis, skipWithoutRedisServer } from './redis-at-hand.js'

/** A server of the test's own, on a socket in a folder of its own, that can be killed, stopped and started again. */
export class RedisServer {
  readonly path: string
  readonly #args: string[]
  readonly #folder: string
  #process: ChildProcess | undefined = undefined

  constructor (t: Pick<Test, 'teardown'>, ...args: string[]) {
    this.#folder = mkdtempSync(join(tmpdir(), 'bgt-redis-'))
    this.path = join(this.#folder, 'redis.sock')
    this.#args = ['--port', '0', '--unixsocket', this.path, '--dir', this.#folder, '--save', '', ...args]
    t.teardown(async () => {
      await this.kill()
      rmSync(this.#folder, { recursive: true, force: true })
    })
  }

  /** Resolves when it takes commands. */
  async start (): Promise<void> {
    if (withoutRedisServer !== false) throw new Error(`These tests need a Redis server of their own: ${withoutRedisServer}`)
    const child = this.#process = spawn('redis-server', this.#args, { stdio: ['ignore', 'pipe', 'ignore'] })
    const { opened, open } = latch<boolean>()
    createInterface(child.stdout).on('line', line => { if (line.includes('eady to accept connections')) open(true) })
    child.once('exit', () => open(false))
    if (!await opened) throw new Error(`redis-server ended at once: redis-server ${this.#args.join(' ')}`)
  }

  /** As a power failure of the process: nothing is written any more. */
  async kill (): Promise<void> {
    const child = this.#process
    if (child === undefined) return
    this.#process = undefined
    const { opened, open } = latch()
    child.once('exit', () => open())
    child.kill('SIGKILL')
    await opened
  }

  /** It stays connected, and answers nothing. */
  hang (): void {
    this.#process!.kill('SIGSTOP')
  }

  resume (): void {
    this.#process!.kill('SIGCONT')
  }
}

/** A server that tests share: of REDIS_URL, else of the default port, else one started for this file. */
export async function sharedRedis (t: Test): Promise<string> {
  if (runningRedis === undefined) {
    const server = new RedisServer(t)
    await server.start()
    return server.path
  }
  const problem = await problemOf(runningRedis)
  if (problem !== undefined) throw new Error(`There is no Redis where REDIS_URL says: ${problem}`)
  return runningRedis
}

/** Deletes the keys of a test. */
export async function removeKeys (url: string, prefix: string): Promise<void> {
  const client = new Redis(url)
  for await (const keys of client.scanStream({ match: `${prefix}:*`, count: 1_000 }) as AsyncIterable<string[]>) {
    if (keys.length > 0) await client.del(keys)
  }
  await client.quit()
}
