import type { Job, JobProgress } from 'bullmq'
import type { JobVerdict } from '../../../types/index.ts'
import { isUnavailable } from '../../unavailable.ts'
import { Delivery } from '../kit/delivery.ts'
import { unavailable } from './connection.ts'

/** ms until a job is taken again that has ended as its lease was lost. Until then BullMQ forgets the lost lock. */
const AGAIN = 1_000

/** A job that a Worker of BullMQ has taken. */
export class BullmqDelivery {
  readonly job: Delivery
  readonly #verdict: Promise<JobVerdict>
  #taken: Job

  constructor (queue: string, taken: Job, run: (delivery: Delivery) => Promise<JobVerdict>) {
    const progress = async (value: unknown): Promise<void> => {
      await taken.updateProgress((value ?? null) as JobProgress)
    }
    const { id, name, attemptsMade } = taken
    const delivered = { id: id!, queue, task: name ?? '', data: dataOf(taken), attempt: attemptsMade + 1, progress }
    this.job = new Delivery(delivered, unavailable)
    this.#taken = taken
    this.#verdict = run(this.job)
  }

  /** Of its lock. */
  get token (): string {
    return this.#taken.token!
  }

  /** It was taken anew while it runs, as its lock had run out. It runs on, and this lock is the one that counts. */
  adopt (taken: Job): void {
    this.#taken = taken
  }

  /** Of the run, for the one who has taken it last; `undefined` for all others. */
  async verdictFor (taken: Job): Promise<JobVerdict | undefined> {
    const verdict = await this.#verdict
    if (this.#taken !== taken) return undefined
    const isStopped = isUnavailable(this.job.signal.reason ?? {}) && verdict.state !== 'completed'
    return isStopped ? { state: 'postponed', error: verdict.error, delay: AGAIN } : verdict
  }

  /** To the queue, as if it had not been delivered. */
  async giveBack (): Promise<void> {
    await giveBack(this.#taken)
  }
}

export async function giveBack (taken: Job): Promise<void> {
  await taken.moveToWait(taken.token)
}

/** As it is. But a job of ours that a schedule, or a flow, has stored does not have its time. */
function dataOf ({ data, timestamp, opts: { delay = 0, prevMillis } }: Job<unknown>): unknown {
  if (typeof data !== 'object' || data === null || 'enqueuedAt' in data) return data
  // A schedule's job was stored when the one before it began, or too late for a delay.
  return { ...data, enqueuedAt: prevMillis ?? timestamp + delay }
}
