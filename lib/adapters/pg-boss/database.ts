import type { Pool, PoolClient, QueryConfig } from 'pg'
import type { Db } from 'pg-boss'
import { NoAnswer, within } from '../../time.ts'
import { type MakeUnavailable, unavailableOf } from '../../unavailable.ts'

export const unavailable: MakeUnavailable = unavailableOf('pg-boss')

export interface Rows<Row> { rows: Row[] }
export type Statement = readonly [text: string, values: unknown[] | undefined]

/** ms to get a connection, from the pool or the server. */
export const CONNECT_TIMEOUT = 2_000
/** ms for a statement that somebody waits for, the wait for a connection included. */
export const QUERY_TIMEOUT = 4_500
/** ms to wait for a lock, where others would have to wait too. */
const LOCK_TIMEOUT = 50
/** ms for a statement of pg-boss itself: migrations and maintenance of large tables take minutes. */
const MAINTENANCE_TIMEOUT = 600_000

const ignore = (): void => {}

/**
 * Runs statements on a pool, within a time limit: `pg` itself waits for ever for a server that is hung.
 * Tells which failures leave open whether the statement was carried out.
 */
export class Database implements Db {
  readonly pool: Pool
  readonly #clients = new Set<PoolClient>()
  readonly #onState: (error?: Error) => void

  /** @param onState called after each statement: with the error if it got no answer. */
  constructor (pool: Pool, onState: (error?: Error) => void) {
    this.pool = pool
    this.#onState = onState
    // An idle connection that breaks is replaced when the next one is needed. Without a listener it ends the process.
    pool.on('error', ignore)
  }

  /** For pg-boss. */
  executeSql (text: string, values?: unknown[]): Promise<Rows<any>> {
    return this.query(text, values, MAINTENANCE_TIMEOUT)
  }

  /** For what somebody waits for; also as the option `db` of a call to pg-boss. */
  readonly soon: Db = { executeSql: (text, values) => this.query(text, values) }

  async query<Row> (text: string, values?: unknown[], timeout: number = QUERY_TIMEOUT): Promise<Rows<Row>> {
    const began = performance.now()
    const client = await this.#connect()
    try {
      const result: Rows<any> = await client.query(toQuery(text, values, began + timeout - performance.now()))
      this.#onState()
      this.#release(client)
      return result
    } catch (error) {
      this.#release(client, error as Error)
      if (isRefusal(error)) throw error
      const broken = unavailable({ cause: error }, true)
      this.#onState(broken)
      throw broken
    }
  }

  /**
   * Carries out statements together or not at all, sent at once. Resolves with the rows of the first.
   *
   * @param noWait to fail (SQLSTATE 55P03) where another transaction has locked what they need.
   */
  async atOnce (statements: readonly Statement[], noWait: boolean): Promise<Rows<any>> {
    const lockTimeout = noWait ? `'${LOCK_TIMEOUT}'` : "current_setting('lock_timeout')"
    const texts = statements.map(([text, values = []]) => withValues(text, values))
    const text = [`SELECT set_config('lock_timeout', ${lockTimeout}, true)`, ...texts].join(';\n')
    const [, first] = await this.query(text) as unknown as Rows<any>[]
    return first!
  }

  /** Breaks off the statements under way. */
  abandon (): void {
    for (const client of this.#clients) void client.end().catch(ignore)
  }

  /** Does not wait for a server that is hung. */
  async close (withPool: boolean): Promise<void> {
    if (withPool) await within(CONNECT_TIMEOUT, this.pool.end().catch(ignore))
    else this.pool.off('error', ignore)
  }

  async #connect (): Promise<PoolClient> {
    try {
      const connecting = this.#checkOut()
      if (!await within(CONNECT_TIMEOUT, connecting.then(ignore, ignore))) {
        void connecting.then(client => this.#release(client), ignore)
        throw new NoAnswer(CONNECT_TIMEOUT, 'connection')
      }
      const client = await connecting
      this.#clients.add(client)
      return client
    } catch (cause) {
      const failure = unavailable({ cause }, false)
      this.#onState(failure)
      throw failure
    }
  }

  /**
   * While a client is checked out the pool does not listen to its errors, which would end the process; the statement
   * under way rejects as well. A server that goes may say so before a promise of the pool would tell of the client.
   */
  #checkOut (): Promise<PoolClient> {
    return new Promise((resolve, reject) => {
      this.pool.connect((error, client) => {
        if (client === undefined) return reject(error!)
        client.on('error', ignore)
        resolve(client)
      })
    })
  }

  #release (client: PoolClient, failure?: Error): void {
    this.#clients.delete(client)
    client.off('error', ignore)
    // pg-boss sends whole transactions as one text: where that failed, the connection is still in them.
    client.release(failure)
  }
}

/**
 * Whether the server itself says that it did not carry a statement out. Of its errors those of a lost
 * connection (class 08), of a shutdown (57P) and "completion unknown" (40003) do not say so: they also
 * come when a commit has been made and not yet been told.
 */
function isRefusal (error: unknown): boolean {
  const { code, severity } = error as { code?: unknown, severity?: unknown }
  return typeof severity === 'string' && typeof code === 'string' && !/^(?:08|57P|40003)/.test(code)
}

function toQuery (text: string, values: unknown[] | undefined, timeout: number): QueryConfig {
  const query: QueryConfig & { query_timeout: number } = { text, query_timeout: timeout }
  return values === undefined ? query : Object.assign(query, { values })
}

/** Several statements in one message have no parameters. */
function withValues (text: string, values: readonly unknown[]): string {
  const literal = (value: unknown): string => `E'${String(value).replace(/['\\]/g, '$&$&')}'`
  return text.replace(/\$(\d+)/g, (_match, place) => literal(values[Number(place) - 1]))
}
