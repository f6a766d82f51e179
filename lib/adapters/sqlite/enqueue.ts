import { setImmediate } from 'node:timers/promises'
import type { EnqueueContext, Job, Receipt } from '../../../types/index.ts'
import { type Connection, unavailable } from './connection.ts'
import { BATCH, INSERT } from './statements.ts'

/** Of one transaction, in which there are at most `BATCH` jobs. More would block the event loop for too long. */
const MAX_CHARACTERS = 1_000_000

interface Written {
  readonly job: Job
  readonly data: string
}

/**
 * Stores jobs: in transactions of its own, or in one of the application's.
 *
 * @throws FST_ERR_BGT_INVALID_OPTIONS for a `tx` that cannot be used.
 * @throws FST_ERR_BGT_QUEUE_UNAVAILABLE
 */
export async function enqueue (
  connection: Connection, jobs: readonly Job[], context: EnqueueContext
): Promise<Receipt[]> {
  if (context.tx !== undefined) return enqueueIn(connection.guest(context.tx), jobs)
  const receipts: Receipt[] = []
  try {
    for (const batch of batches(jobs)) {
      // A write blocks the event loop, and ends without giving it a turn, in which others may have jobs to go with it.
      await setImmediate()
      const write = batch.length === 1 ? 'writeOne' : 'write'
      receipts.push(...await connection[write](() => insertAll(connection, batch), context))
    }
    return receipts
  } catch (error) {
    throw receipts.length > 0 ? Object.assign(error as Error, { ambiguous: true }) : error
  }
}

/** Call it in a transaction. `data` is the job's, as JSON. */
export function insert (connection: Connection, job: Omit<Job, 'data' | 'retry'>, data: string): Receipt {
  const { id, queue, task, priority, delay } = job
  const now = Date.now()
  const state = delay > 0 ? 'scheduled' : 'pending'
  const stored = connection.run(INSERT, id, queue, task, data, priority, state, now + Math.ceil(delay), now)
  return stored === 1 ? { id } : { id, deduplicated: true }
}

/** All of them or none, as part of the application's transaction. */
function enqueueIn (guest: Connection, jobs: readonly Job[]): Receipt[] {
  try {
    return guest.nested(() => [...batches(jobs)].flatMap(batch => insertAll(guest, batch)))
  } catch (cause) {
    throw unavailable({ cause }, false)
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
    if (batch.length === BATCH || (batch.length > 0 && characters + data.length > MAX_CHARACTERS)) {
      yield batch
      batch = []
      characters = 0
    }
    batch.push({ job, data })
    characters += data.length
  }
  if (batch.length > 0) yield batch
}
