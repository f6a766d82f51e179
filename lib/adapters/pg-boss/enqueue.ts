import type { Db, JobInsert } from 'pg-boss'
import type { EnqueueContext, Job, Receipt } from '../../../types/index.ts'
import { brief, FST_ERR_BGT_INVALID_OPTIONS } from '../../errors.ts'
import type { Unavailable } from '../../unavailable.ts'
import type { Engine } from './engine.ts'
import { toRow } from './job-row.ts'

interface Client {
  query (text: string, values?: unknown[]): Promise<{ rows: unknown[] }>
}

/** How often a batch is sent again that a deadlock has ended. */
const DEADLOCKS = 5

/** Stores jobs, those of a queue with one statement. */
export async function enqueue (engine: Engine, jobs: readonly Job[], context: EnqueueContext): Promise<Receipt[]> {
  const db = context.tx === undefined ? engine.database.soon : toDb(context.tx)
  const unique = new Map<string, Job>()
  for (const job of jobs) if (!unique.has(job.id)) unique.set(job.id, job)
  const receipts = new Map<string, Receipt>()
  for (const queue of new Set(jobs.map(({ queue }) => queue))) {
    try {
      const ofQueue = [...unique.values()].filter(job => job.queue === queue)
      for (const receipt of await store(engine, queue, ofQueue, db, context)) receipts.set(receipt.id, receipt)
    } catch (error) {
      const ambiguous = receipts.size > 0 || (error as Partial<Unavailable>).ambiguous === true
      throw Object.assign(error as Error, { ambiguous })
    }
  }
  return jobs.map(({ id }) => {
    const receipt = receipts.get(id)
    receipts.delete(id)
    return receipt ?? { id, deduplicated: true }
  })
}

async function store (
  engine: Engine, queue: string, jobs: Job[], db: Db, context: EnqueueContext
): Promise<Receipt[]> {
  const rows = jobs.map((job, index) => toRow(job, index - jobs.length, engine.options))
  const inserted = new Set(await insert(engine, queue, rows, db, context))
  const known = inserted.size === jobs.length ? inserted : await knownOf(engine, queue, jobs, db)
  return jobs.map(({ id }) => {
    if (inserted.has(id)) return { id }
    if (known.has(id)) return { id, deduplicated: true }
    const problem = `Expected a policy with room for this job, which queue "${queue}" did not store`
    return { id, error: new FST_ERR_BGT_INVALID_OPTIONS('queueOptions/policy', problem) }
  })
}

async function insert (
  engine: Engine, queue: string, rows: JobInsert[], db: Db, context: EnqueueContext, tries: number = DEADLOCKS
): Promise<string[] | null> {
  const { boss, database } = engine
  try {
    return await boss.insert(queue, rows, { returnId: true, db })
  } catch (error) {
    // Two batches with the same ids in another order wait for each other until PostgreSQL ends one of them.
    const isDeadlock = (error as { code?: unknown }).code === '40P01' && db === database.soon
    if (!isDeadlock || tries === 0 || context.signal?.aborted === true) throw error
    return insert(engine, queue, rows.toSorted((a, b) => a.id!.localeCompare(b.id!)), db, context, tries - 1)
  }
}

async function knownOf (engine: Engine, queue: string, jobs: Job[], db: Db): Promise<Set<string>> {
  const { rows } = await db.executeSql(engine.statementsOf(queue).stored, [queue, jobs.map(({ id }) => id)])
  return new Set((rows as { id: string }[]).map(({ id }) => id))
}

/** A transaction of `pg`, or of what pg-boss has an adapter for (`fromKnex`, `fromDrizzle`, ...). */
function toDb (tx: unknown): Db {
  const { executeSql, query } = tx as Partial<Db & Client>
  if (typeof executeSql === 'function') return tx as Db
  if (typeof query !== 'function') {
    const problem = `Expected a client of pg in a transaction, or an object with executeSql, got ${brief(tx)}`
    throw Object.assign(new FST_ERR_BGT_INVALID_OPTIONS('tx', problem), { ambiguous: false })
  }
  return { executeSql: (text, values) => (tx as Client).query(text, values) }
}
