import type { Job, JobProgress } from 'bullmq'
import type { JobData } from '../../../types/index.ts'
import { Delivery } from '../kit/delivery.ts'
import { unavailable } from './connection.ts'

/** A job that a Worker of BullMQ has taken. */
export class BullmqDelivery {
  readonly job: Delivery
  readonly #taken: Job

  constructor (queue: string, taken: Job) {
    const progress = async (value: unknown): Promise<void> => {
      await taken.updateProgress((value ?? null) as JobProgress)
    }
    const { id, name: task, attemptsMade } = taken
    const data = dataOf(taken as Job<JobData | null>)
    const delivered = { id: id!, queue, task, data, attempt: attemptsMade + 1, progress }
    this.job = new Delivery(delivered, unavailable)
    this.#taken = taken
  }

  /** To the queue, as if it had not been delivered. */
  async giveBack (): Promise<void> {
    await this.#taken.moveToWait(this.#taken.token)
  }
}

/** A schedule's job was stored when the one before it began, or too late for a delay. */
function dataOf ({ data, timestamp, opts: { delay = 0, prevMillis } }: Job<JobData | null>): JobData {
  if (data?.enqueuedAt !== undefined) return data
  return { ...data!, enqueuedAt: prevMillis ?? timestamp + delay }
}
