import { setTimeout } from 'node:timers/promises'
import { fileOf, isAmbiguous, isBusy, type OpenedFile, type SqliteLike, type SqliteStatement, type SqliteValue } from './driver.ts'
import { unavailable } from './unavailable.ts'

const FULL = 2
const LONGEST_PAUSE = 32

export interface ConnectionOptions {
  /** Opened by the adapter, which then may set it up and has to close it. */
  readonly owned: boolean
  /** ms */
  readonly busyTimeout: number
}

/** Whoever waits for what is written. Signals cost more than a statement: one is looked at only where there is reason to. */
interface Waiting {
  readonly signal?: AbortSignal
}

/** A database with its statements, used so that the event loop never waits for a lock. */
export class Connection {
  readonly database: SqliteLike
  /** Empty for a database in memory. */
  readonly file: string
  readonly #options: ConnectionOptions
  readonly #statements = new Map<string, SqliteStatement>()
  #closed = false

  constructor (database: SqliteLike, options: ConnectionOptions) {
    this.database = database
    this.#options = options
    this.file = fileOf(database)
  }

  /** To be called before the first write, on all but the connections of others. */
  async setUp (): Promise<void> {
    await this.whenFree(() => {
      if (this.#options.owned) this.database.exec('pragma busy_timeout = 0; pragma synchronous = full')
      this.all('pragma journal_mode = wal')
    })
  }

  /** Rows. Never by a driver's `get`, after which libsql keeps the read open. */
  all<Row>(sql: string, ...values: SqliteValue[]): Row[] {
    return this.#prepare(sql).all(...values) as Row[]
  }

  /** How many rows have changed. */
  run (sql: string, ...values: SqliteValue[]): number {
    return Number(this.#prepare(sql).run(...values).changes)
  }

  /** What is written by `work` is on the disk when this returns, and undone if it throws. */
  transaction<T>(work: () => T): T {
    const restore = this.#options.owned ? undefined : this.#borrow()
    try {
      return this.#bracket('begin immediate', work, 'commit', 'rollback')
    } finally {
      if (restore !== undefined) this.database.exec(restore)
    }
  }

  /** Within a transaction that the application has begun, and commits: undone if `work` throws, and nothing else with it. */
  nested<T>(work: () => T): T {
    return this.#bracket('savepoint background_tasks', work, 'release background_tasks', 'rollback to background_tasks', 'release background_tasks')
  }

  /** A transaction, as soon as nobody else writes. */
  async write<T>(work: () => T, waiting?: Waiting): Promise<T> {
    return this.whenFree(() => this.transaction(work), waiting)
  }

  /** The same for a single statement: by itself it is a transaction, unless the application may have begun one around it. */
  async writeOne<T>(work: () => T, waiting?: Waiting): Promise<T> {
    return this.#options.owned ? this.whenFree(work, waiting) : this.write(work, waiting)
  }

  /**
   * Does again what found the database locked, until the signal aborts or `busyTimeout` is over.
   *
   * @throws FST_ERR_BGT_QUEUE_UNAVAILABLE
   */
  async whenFree<T>(work: () => T, waiting?: Waiting): Promise<T> {
    return this.#attempt(work, waiting, performance.now() + this.#options.busyTimeout, 1)
  }

  close (): void {
    if (this.#closed) return
    this.#closed = true
    this.#statements.clear()
    if (this.#options.owned) (this.database as OpenedFile).close()
  }

  async #attempt<T>(work: () => T, waiting: Waiting | undefined, deadline: number, pause: number): Promise<T> {
    try {
      return work()
    } catch (error) {
      const waits = isBusy(error) && waiting?.signal?.aborted !== true && performance.now() < deadline
      if (!waits) throw unavailable((error as Error).message, isAmbiguous(error), error)
    }
    await setTimeout(pause * Math.random())
    return this.#attempt(work, waiting, deadline, Math.min(2 * pause, LONGEST_PAUSE))
  }

  #prepare (sql: string): SqliteStatement {
    if (this.#closed) throw new Error('it is closed')
    let statement = this.#statements.get(sql)
    if (statement === undefined) {
      statement = this.database.prepare(sql)
      this.#statements.set(sql, statement)
    }
    return statement
  }

  /** Sets what the application may have chosen otherwise, and returns the statements that set it back. */
  #borrow (): string {
    const [{ timeout }] = this.all<{ timeout: number }>('pragma busy_timeout') as [{ timeout: number }]
    const [{ synchronous }] = this.all<{ synchronous: number }>('pragma synchronous') as [{ synchronous: number }]
    this.database.exec(`pragma synchronous = ${Math.max(Number(synchronous), FULL)}; pragma busy_timeout = 0`)
    return `pragma busy_timeout = ${timeout}; pragma synchronous = ${synchronous}`
  }

  #bracket<T>(begin: string, work: () => T, end: string, ...undo: string[]): T {
    this.run(begin)
    try {
      const result = work()
      this.run(end)
      return result
    } catch (error) {
      this.#undo(undo)
      throw error
    }
  }

  #undo (statements: string[]): void {
    try {
      for (const statement of statements) this.run(statement)
    } catch {
      // SQLite has rolled back by itself: a full disk does that.
    }
  }
}
