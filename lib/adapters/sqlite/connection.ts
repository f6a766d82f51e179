import { setTimeout } from 'node:timers/promises'
import { brief, FST_ERR_BGT_INVALID_OPTIONS } from '../../errors.ts'
import { isUnavailable, type MakeUnavailable, unavailableOf } from '../../unavailable.ts'
import {
  fileOf, isAmbiguous, isBusy, isInTransaction, isSqliteLike, type OpenedFile, type SqliteLike, type SqliteStatement,
  type SqliteValue
} from './driver.ts'
import { DatabaseFile } from './file.ts'

export const unavailable: MakeUnavailable = unavailableOf('sqlite')

const FULL = 2
const LONGEST_PAUSE = 32

export interface ConnectionOptions {
  /** Opened by the adapter, which then may set it up and has to close it. */
  readonly owned: boolean
  /** ms */
  readonly busyTimeout: number
}

/** The caller that waits for a write. Its signal may be made when it is read, and is read only when the write waits. */
interface Waiting {
  readonly signal?: AbortSignal
}

/** A database with its statements, used so that the event loop never waits for a lock. */
export class Connection {
  readonly database: SqliteLike
  readonly file: DatabaseFile
  readonly #options: ConnectionOptions
  readonly #statements = new Map<string, SqliteStatement>()
  readonly #guests = new WeakMap<SqliteLike, Connection>()
  #closed = false

  constructor (database: SqliteLike, options: ConnectionOptions) {
    this.database = database
    this.#options = options
    this.file = new DatabaseFile(fileOf(database))
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

  /** The writes of `work` are on the disk when this returns, and undone if it throws. */
  transaction<T>(work: () => T): T {
    this.#assertThere()
    const restore = this.#options.owned ? undefined : this.#borrow()
    try {
      return this.#bracket('begin immediate', work, 'commit', 'rollback')
    } finally {
      if (restore !== undefined) this.database.exec(restore)
    }
  }

  /** Within the application's transaction. If `work` throws, its writes are undone, and no others. */
  nested<T>(work: () => T): T {
    const [begin, end] = ['savepoint background_tasks', 'release background_tasks']
    return this.#bracket(begin, work, end, 'rollback to background_tasks', end)
  }

  /** A transaction, as soon as nobody else writes. */
  async write<T>(work: () => T, waiting?: Waiting): Promise<T> {
    return this.whenFree(() => this.transaction(work), waiting)
  }

  /** The same for one statement: it is a transaction by itself, unless the application may have begun one. */
  async writeOne<T>(work: () => T, waiting?: Waiting): Promise<T> {
    if (!this.#options.owned) return this.write(work, waiting)
    return this.whenFree(() => {
      this.#assertThere()
      return work()
    }, waiting)
  }

  /**
   * Repeats `work` while it finds the database locked, until the signal aborts or `busyTimeout` is over.
   *
   * @throws FST_ERR_BGT_QUEUE_UNAVAILABLE
   */
  async whenFree<T>(work: () => T, waiting?: Waiting): Promise<T> {
    return this.#attempt(work, waiting, performance.now() + this.#options.busyTimeout, 1)
  }

  /**
   * The application's own connection to the same file, on which it has begun a transaction.
   *
   * @throws FST_ERR_BGT_INVALID_OPTIONS where `tx` is not a database in a transaction, or is another file.
   */
  guest (tx: unknown): Connection {
    if (!isSqliteLike(tx)) {
      const problem = `Expected an opened SQLite database with a transaction begun, got ${brief(tx)}`
      throw new FST_ERR_BGT_INVALID_OPTIONS('tx', problem)
    }
    let guest = this.#guests.get(tx)
    if (guest === undefined) {
      guest = new Connection(tx, { owned: false, busyTimeout: 0 })
      this.#assertSame(guest)
      this.#guests.set(tx, guest)
    }
    if (!isInTransaction(tx)) {
      throw new FST_ERR_BGT_INVALID_OPTIONS('tx', 'Expected a database with a transaction begun, got one without')
    }
    return guest
  }

  close (): void {
    this.#closed = true
    this.#statements.clear()
    if (this.#options.owned) (this.database as OpenedFile).close()
  }

  /** @throws FST_ERR_BGT_QUEUE_UNAVAILABLE */
  #assertThere (): void {
    if (this.file.isGone) throw unavailable('its file was deleted or replaced: start the process again', false)
  }

  #assertSame ({ database, file }: Connection): void {
    const { path } = this.file
    if (database === this.database || (path !== '' && file.path === path)) return
    const expected = path === '' ? 'the connection that the adapter was given' : `a connection to "${path}"`
    const got = file.path === '' ? 'a database in memory' : `"${file.path}"`
    throw new FST_ERR_BGT_INVALID_OPTIONS('tx', `Expected ${expected}, got one to ${got}`)
  }

  async #attempt<T>(work: () => T, waiting: Waiting | undefined, deadline: number, pause: number): Promise<T> {
    try {
      return work()
    } catch (error) {
      const waits = isBusy(error) && waiting?.signal?.aborted !== true && performance.now() < deadline
      if (isUnavailable(error)) throw error
      if (!waits) throw unavailable({ cause: error }, isAmbiguous(error))
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

  /** Sets two settings that the application may have chosen otherwise. Returns the statements that set them back. */
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
