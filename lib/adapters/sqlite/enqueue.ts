import type { EnqueueContext, Job, Receipt } from '../../../types/index.ts'
import { brief, FST_ERR_BGT_INVALID_OPTIONS } from '../../errors.ts'
import { Connection } from './connection.ts'
import { isSqliteLike, isWithinTransaction, type SqliteLike } from './driver.ts'
import { insert } from './status.ts'
import { unavailable } from './unavailable.ts'

/** Of one transaction. More would block the event loop for too long. */
const MAX_JOBS = 500
const MAX_CHARACTERS = 1_000_000

interface Written {
  readonly job: Job
  readonly data: string
}

/** Stores jobs: in transactions of its own, or in one of the application's. */
export class Producer {
  readonly #connection: Connection
  readonly #guests = new WeakMap<SqliteLike, Connection>()

  constructor (connection: Connection) {
    this.#connection = connection
  }

  /** @throws FST_ERR_BGT_QUEUE_UNAVAILABLE */
  async enqueue (jobs: readonly Job[], context: EnqueueContext): Promise<Receipt[]> {
    const receipts: Receipt[] = []
    try {
      for (const batch of batches(jobs)) {
        const write = batch.length === 1 ? 'writeOne' : 'write'
        receipts.push(...await this.#connection[write](() => insertAll(this.#connection, batch), context))
      }
      return receipts
    } catch (error) {
      throw receipts.length > 0 ? Object.assign(error as Error, { ambiguous: true }) : error
    }
  }

  /**
   * All of them or none, as part of the transaction that is open on `tx`.
   *
   * @throws FST_ERR_BGT_INVALID_OPTIONS where that is not a database in a transaction, or is another file.
   * @throws FST_ERR_BGT_QUEUE_UNAVAILABLE
   */
  enqueueIn (tx: unknown, jobs: readonly Job[]): Receipt[] {
    const guest = this.#guest(tx)
    try {
      return guest.nested(() => [...batches(jobs)].flatMap(batch => insertAll(guest, batch)))
    } catch (error) {
      throw unavailable((error as Error).message, false, error)
    }
  }

  #guest (tx: unknown): Connection {
    if (!isSqliteLike(tx)) throw new FST_ERR_BGT_INVALID_OPTIONS('tx', `Expected an opened SQLite database with a transaction begun, got ${brief(tx)}`)
    let guest = this.#guests.get(tx)
    if (guest === undefined) {
      guest = new Connection(tx, { owned: false, busyTimeout: 0 })
      const { file } = this.#connection
      const isSame = tx === this.#connection.database || (file !== '' && guest.file === file)
      if (!isSame) throw new FST_ERR_BGT_INVALID_OPTIONS('tx', `Expected ${file === '' ? 'the connection that the adapter was given' : `a connection to "${file}"`}, got one to ${guest.file === '' ? 'a database in memory' : `"${guest.file}"`}`)
      this.#guests.set(tx, guest)
    }
    if (!isInTransaction(tx)) throw new FST_ERR_BGT_INVALID_OPTIONS('tx', 'Expected a database with a transaction begun, got one without')
    return guest
  }
}

function insertAll (connection: Connection, batch: readonly Written[]): Receipt[] {
  return batch.map(({ job, data }) => insert(connection, job, data))
}

function * batches (jobs: readonly Job[]): Generator<Written[]> {
  let batch: Written[] = []
  let characters = 0
  for (const job of jobs) {
    const data = JSON.stringify(job.data)
    if (batch.length === MAX_JOBS || (batch.length > 0 && characters + data.length > MAX_CHARACTERS)) {
      yield batch
      batch = []
      characters = 0
    }
    batch.push({ job, data })
    characters += data.length
  }
  if (batch.length > 0) yield batch
}

/** Asked in the one way that all drivers know: SQLite refuses to begin a second transaction. */
function isInTransaction (database: SqliteLike): boolean {
  try {
    database.exec('begin')
  } catch (error) {
    if (isWithinTransaction(error)) return true
    throw error
  }
  database.exec('rollback')
  return false
}
