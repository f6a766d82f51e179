import { setImmediate } from 'node:timers/promises'
import type { JobsOptions, Queue } from 'bullmq'
import type { EnqueueContext, Job, Receipt } from '../../../types/index.ts'
import { FST_ERR_BGT_NO_CAPABILITY } from '../../errors.ts'
import type { Unavailable } from '../../unavailable.ts'
import { asUnavailable, unavailable } from './connection.ts'
import type { Engine } from './engine.ts'
import type { Queues } from './queues.ts'
import { isKnown } from './scripts.ts'

/** Jobs on their way at once, so that the last one is answered well before its timeout. */
const WAVE = 100

/** @throws FST_ERR_BGT_QUEUE_UNAVAILABLE */
export async function enqueue (engine: Engine, jobs: readonly Job[], context: EnqueueContext): Promise<Receipt[]> {
  if (context.tx !== undefined) throw new FST_ERR_BGT_NO_CAPABILITY('The option "tx"', 'transactional', 'bullmq')
  for (const { queue } of jobs) engine.names.add(queue)
  const { queues } = engine
  return jobs.length === 1 ? [await enqueueOne(queues, jobs[0]!)] : enqueueMany(queues, jobs, context)
}

/** With BullMQ the lowest goes first, and jobs without a priority before all others. */
export function priorityOf (priority: number): number {
  return 101 - priority
}

async function enqueueOne (queues: Queues, job: Job): Promise<Receipt> {
  try {
    return await store(queues.get(job.queue) ?? await queues.open(job.queue), job)
  } catch (error) {
    // A broken connection fails at once until its socket's event is heard, which a caller that tries again at once
    // would keep from coming.
    await setImmediate()
    throw asUnavailable(error)
  }
}

/** ioredis sends them together, and each is answered for itself. Throws if none was stored, or if one may have been. */
async function enqueueMany (
  queues: Queues, jobs: readonly Job[], context: EnqueueContext
): Promise<Receipt[]> {
  const receipts: Receipt[] = []
  let failure: Unavailable | undefined
  for (let sent = 0; sent < jobs.length && failure === undefined; sent += WAVE) {
    if (context.signal?.aborted === true) {
      throw unavailable({ cause: context.signal.reason }, sent > 0)
    }
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

async function store (queue: Queue, job: Job): Promise<Receipt> {
  const stored = await queue.add(job.task, job.data, optionsOf(job))
  return isKnown(stored.id!) ? { id: job.id, deduplicated: true } : { id: job.id }
}

function optionsOf ({ id, delay, priority, retry }: Job): JobsOptions {
  const options: JobsOptions = { jobId: id, priority: priorityOf(priority), attempts: retry.attempts }
  if (delay > 0) options.delay = Math.ceil(delay)
  return options
}
