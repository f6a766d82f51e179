import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'libsql'
import { pino } from 'pino'
import type { Test } from 'tap'
import { sqlite, type SqliteLike, type SqliteOptions } from '../../lib/adapters/sqlite/index.ts'
import type { ActiveJob, JobInfo, JobState, JobVerdict, QueueAdapter, StartOptions } from '../../types/index.ts'
import { completed } from './job.ts'
import type { LogLine } from './log-lines.ts'

export type Sqlite = QueueAdapter<SqliteLike | undefined>
export type Connected = InstanceType<typeof Database>

/** As the adapter opens a file: of two copies of SQLite in one process neither knows the other's locks. */
const { DatabaseSync: Driver = Database } = (process.getBuiltinModule('node:sqlite') ?? {}) as { DatabaseSync?: typeof Database }

export function complete (): Promise<JobVerdict> {
  return Promise.resolve(completed)
}

/** A folder with a database, and the adapters on it, which end with the test. */
export class Stage {
  readonly file: string
  readonly lines: LogLine[] = []
  readonly #t: Test

  constructor (t: Test, parent: string = tmpdir()) {
    const folder = mkdtempSync(join(parent, 'background-tasks-sqlite-'))
    this.#t = t
    this.file = join(folder, 'queue.db')
    t.teardown(() => rmSync(folder, { recursive: true }))
  }

  /** Another connection, such as the application has. */
  connect (file: string = this.file): Connected {
    const database = new Driver(file)
    this.#t.teardown(() => {
      // node:sqlite throws where it is closed already.
      if ((database as { isOpen?: boolean }).isOpen !== false) database.close()
    })
    return database
  }

  get startOptions (): StartOptions {
    const log = pino({ level: 'debug' }, { write: line => { this.lines.push(JSON.parse(line) as LogLine) } })
    return { queues: ['mail'], log }
  }

  create (options?: SqliteOptions): Sqlite {
    const adapter = sqlite({ pollInterval: 20, ...(options?.database === undefined && { file: this.file }), ...options })
    this.#t.teardown(() => adapter.close({ grace: 0 }))
    return adapter
  }

  async start (options?: SqliteOptions): Promise<Sqlite> {
    const adapter = this.create(options)
    await adapter.start(this.startOptions)
    return adapter
  }

  /** A log line that says so, once it is there. */
  async line (pattern: RegExp): Promise<LogLine> {
    return until(() => this.lines.find(({ msg }) => pattern.test(msg)))
  }
}

/** Asks in every turn of the event loop, until there is something. */
export async function until<T> (probe: () => T | undefined | false | Promise<T | undefined | false>): Promise<T> {
  for (;;) {
    const found = await probe()
    if (found !== undefined && found !== false) return found
    await new Promise(resolve => setImmediate(resolve))
  }
}

export async function untilState (adapter: Sqlite, id: string, state: JobState): Promise<JobInfo> {
  return until(async () => {
    const info = await adapter.status!(id)
    return info?.state === state && info
  })
}

export async function aborted ({ signal }: ActiveJob): Promise<Error> {
  if (!signal.aborted) await new Promise(resolve => signal.addEventListener('abort', resolve, { once: true }))
  return signal.reason as Error
}
