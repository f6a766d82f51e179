import type { Db, JobInsert } from 'pg-boss'
import type { EnqueueContext, Job, Receipt } from '../../../types/index.ts'
import { brief, FST_ERR_BGT_INVALID_OPTIONS } from '../../errors.ts'
import type { Unavailable } from '../../unavailable.ts'
import type { Statement } from './database.ts'
import type { Engine } from './engine.ts'
import { toRow } from './job-row.ts'

interface Client {
  query (text: string, values?: unknown[]): Promise<{ rows: unknown[] }>
}

/** Another transaction is in the way: serialization_failure, deadlock_detected, lock_not_available. */
const passing = /^(?:40001|40P01|55P03)$/

/** Stores jobs, those of a queue with one statement. */
export async function enqueue (engine: Engine, jobs: readonly Job[], context: EnqueueContext): Promise<Receipt[]> {
  const tx = context.tx === undefined ? undefined : toDb(context.tx)
  const unique = new Map<string, Job>()
  for (const job of jobs) if (!unique.has(job.id)) unique.set(job.id, job)
  const receipts = new Map<string, Receipt>()
  for (const queue of new Set(jobs.map(({ queue }) => queue))) {
    try {
      const ofQueue = [...unique.values()].filter(job => job.queue === queue)
      for (const receipt of await store(engine, queue, ofQueue, tx, context.noWait)) receipts.set(receipt.id, receipt)
    } catch (error) {
      const { ambiguous: known, code } = error as Partial<Unavailable> & { code?: string }
      const ambiguous = receipts.size > 0 || known === true
      throw Object.assign(error as Error, { ambiguous, again: tx === undefined && passing.test(code ?? '') })
    }
  }
  return jobs.map(({ id }) => {
    const receipt = receipts.get(id)
    receipts.delete(id)
    return receipt ?? { id, deduplicated: true }
  })
}

async function store (
  engine: Engine, queue: string, jobs: Job[], tx: Db | undefined, noWait: boolean = false
): Promise<Receipt[]> {
  const { boss, database } = engine
  // Always in one order: two statements for the same ids then wait for each other, and do not lock each other out.
  const rows = jobs.map((job, index) => toRow(job, index - jobs.length, engine.options)).sort(byId)
  const db = inOrderOfTime(engine, queue, jobs, tx, noWait)
  const inserted = new Set(await boss.insert(queue, rows, { returnId: true, db }))
  const known = inserted.size === jobs.length ? inserted : await knownOf(engine, queue, jobs, tx ?? database.soon)
  return jobs.map(({ id }) => {
    if (inserted.has(id)) return { id }
    if (known.has(id)) return { id, deduplicated: true }
    const problem = `Expected a policy with room for this job, which queue "${queue}" did not store`
    return { id, error: new FST_ERR_BGT_INVALID_OPTIONS('queueOptions/policy', problem) }
  })
}

function byId ({ id: a }: JobInsert, { id: b }: JobInsert): number {
  return a! < b! ? -1 : 1
}

/** pg-boss fetches jobs by when they were stored; here those with a delay get the place of when they are due. */
function inOrderOfTime (engine: Engine, queue: string, jobs: Job[], tx: Db | undefined, noWait: boolean): Db {
  const delayed = jobs.filter(({ delay }) => delay > 0).map(({ id }) => id)
  return {
    async executeSql (text, values) {
      const { order } = engine.statementsOf(queue)
      const more: Statement[] = delayed.length === 0 ? [] : [[order, [queue, `{${delayed.join()}}`]]]
      if (tx === undefined) return engine.database.atOnce([[text, values], ...more], noWait)
      const result = await tx.executeSql(text, values)
      for (const [text, values] of more) await tx.executeSql(text, values)
      return result
    }
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
