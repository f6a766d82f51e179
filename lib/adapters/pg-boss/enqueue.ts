import type { Db, JobInsert } from 'pg-boss'
import type { EnqueueContext, Job, Receipt } from '../../../types/index.ts'
import { brief, FST_ERR_BGT_INVALID_OPTIONS } from '../../errors.ts'
import type { Engine } from './engine.ts'
import { toRow } from './job-row.ts'
import { unavailable, type Unavailable } from './unavailable.ts'

/** How often a batch is sent again that a deadlock has ended. */
const DEADLOCKS = 5

/** Stores jobs, those of a queue with one statement. */
export class Producer {
  readonly #engine: Engine

  constructor (engine: Engine) {
    this.#engine = engine
  }

  async enqueue (jobs: readonly Job[], context: EnqueueContext): Promise<Receipt[]> {
    const { isReady, database } = this.#engine
    if (!isReady) throw unavailable('pg-boss has not started yet', false)
    const db = context.tx === undefined ? database.soon : toDb(context.tx)
    const unique = new Map<string, Job>()
    for (const job of jobs) if (!unique.has(job.id)) unique.set(job.id, job)
    const receipts = new Map<string, Receipt>()
    for (const queue of new Set(jobs.map(({ queue }) => queue))) {
      try {
        const ofQueue = [...unique.values()].filter(job => job.queue === queue)
        for (const receipt of await this.#store(queue, ofQueue, db, context)) receipts.set(receipt.id, receipt)
      } catch (error) {
        throw Object.assign(error as Error, { ambiguous: receipts.size > 0 || (error as Partial<Unavailable>).ambiguous === true })
      }
    }
    return jobs.map(({ id }) => {
      const receipt = receipts.get(id)
      receipts.delete(id)
      return receipt ?? { id, deduplicated: true }
    })
  }

  async #store (queue: string, jobs: Job[], db: Db, context: EnqueueContext): Promise<Receipt[]> {
    const { settings } = this.#engine
    const inserted = new Set(await this.#insert(queue, jobs.map((job, index) => toRow(job, index - jobs.length, settings)), db, context))
    const known = inserted.size === jobs.length ? inserted : await this.#known(queue, jobs, db)
    return jobs.map(({ id }) => {
      if (inserted.has(id)) return { id }
      if (known.has(id)) return { id, deduplicated: true }
      return { id, error: new FST_ERR_BGT_INVALID_OPTIONS('queueOptions/policy', `expected a policy with room for this job, which queue "${queue}" did not store`) }
    })
  }

  async #insert (queue: string, rows: JobInsert[], db: Db, context: EnqueueContext, tries = DEADLOCKS): Promise<string[] | null> {
    const { boss, database } = this.#engine
    try {
      return await boss.insert(queue, rows, { returnId: true, db })
    } catch (error) {
      // Two batches with the same ids in another order wait for each other until PostgreSQL ends one of them.
      const isDeadlock = (error as { code?: unknown }).code === '40P01' && db === database.soon
      if (!isDeadlock || tries === 0 || context.signal?.aborted === true) throw error
      return this.#insert(queue, rows.toSorted((a, b) => a.id!.localeCompare(b.id!)), db, context, tries - 1)
    }
  }

  async #known (queue: string, jobs: Job[], db: Db): Promise<Set<string>> {
    const { rows } = await db.executeSql(this.#engine.statementsOf(queue).stored, [queue, jobs.map(({ id }) => id)])
    return new Set((rows as { id: string }[]).map(({ id }) => id))
  }
}

/** A transaction of `pg`, or of what pg-boss has an adapter for (`fromKnex`, `fromDrizzle`, ...). */
function toDb (tx: unknown): Db {
  const { executeSql, query } = tx as { executeSql?: unknown, query?: unknown }
  if (typeof executeSql === 'function') return tx as Db
  if (typeof query !== 'function') {
    throw Object.assign(new FST_ERR_BGT_INVALID_OPTIONS('tx', `expected a client of pg in a transaction, or an object with executeSql, got ${brief(tx)}`), { ambiguous: false })
  }
  return { executeSql: (text, values) => (tx as { query: (text: string, values?: unknown[]) => Promise<{ rows: unknown[] }> }).query(text, values) }
}
