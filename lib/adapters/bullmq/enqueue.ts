import { setImmediate } from 'node:timers/promises'
import type { JobsOptions, Queue } from 'bullmq'
import type { EnqueueContext, Job, Receipt } from '../../../types/index.ts'
import type { Queues } from './queues.ts'
import { isKnown } from './scripts.ts'
import { asUnavailable, unavailable, type Unavailable } from './unavailable.ts'

/** Jobs on their way at once, so that the last one is answered well before its timeout. */
const WAVE = 100

function optionsOf ({ id, delay, priority, retry }: Job): JobsOptions {
  // With BullMQ the lowest goes first, and jobs without a priority before all others.
  const options: JobsOptions = { jobId: id, priority: 101 - priority, attempts: retry.attempts }
  if (delay > 0) options.delay = Math.ceil(delay)
  return options
}

async function store (queue: Queue, job: Job): Promise<Receipt> {
  const stored = await queue.add(job.task, job.data, optionsOf(job))
  return isKnown(stored.id!) ? { id: job.id, deduplicated: true } : { id: job.id }
}

/** @throws FST_ERR_BGT_QUEUE_UNAVAILABLE */
export async function enqueueOne (queues: Queues, job: Job): Promise<Receipt> {
  try {
    return await store(queues.get(job.queue) ?? await queues.open(job.queue), job)
  } catch (error) {
    // A broken connection fails at once until its socket's event is heard: who tries again must not keep that from coming.
    await setImmediate()
    throw asUnavailable(error)
  }
}

/**
 * ioredis sends them together, and each is answered for itself.
 *
 * @throws FST_ERR_BGT_QUEUE_UNAVAILABLE if none was stored, or if that is not known of one.
 */
export async function enqueueMany (queues: Queues, jobs: readonly Job[], context: EnqueueContext): Promise<Receipt[]> {
  const receipts: Receipt[] = []
  let failure: Unavailable | undefined
  for (let sent = 0; sent < jobs.length && failure === undefined; sent += WAVE) {
    if (context.signal?.aborted === true) throw unavailable('nobody waits for it any more', sent > 0, context.signal.reason)
    const wave = jobs.slice(sent, sent + WAVE)
    const answers = await Promise.allSettled(wave.map(job => enqueueOne(queues, job)))
    for (const [i, answer] of answers.entries()) {
      if (answer.status === 'fulfilled') {
        receipts.push(answer.value)
        continue
      }
      const error = failure = answer.reason as Unavailable
      if (error.ambiguous) throw error
      receipts.push({ id: wave[i]!.id, error })
    }
  }
  if (failure === undefined) return receipts
  if (receipts.every(({ error }) => error !== undefined)) throw failure
  for (const { id } of jobs.slice(receipts.length)) receipts.push({ id, error: failure })
  return receipts
}
