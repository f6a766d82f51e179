import type { Job, JobProgress } from 'bullmq'
import type { ActiveJob, JobData } from '../../../types/index.ts'

export class BullActiveJob implements ActiveJob {
  readonly id: string
  readonly queue: string
  readonly task: string
  readonly attempt: number
  readonly #job: Job
  #controller: AbortController | undefined = undefined

  readonly progress = async (value: unknown): Promise<void> => {
    await this.#job.updateProgress((value ?? null) as JobProgress)
  }

  constructor (queue: string, job: Job) {
    this.id = job.id!
    this.queue = queue
    this.task = job.name
    this.attempt = job.attemptsMade + 1
    this.#job = job
  }

  get data (): JobData {
    const { data, timestamp, opts: { delay = 0, prevMillis } } = this.#job as Job<JobData>
    // A schedule's job was stored when the one before it began, or too late for a delay.
    return data.enqueuedAt === undefined ? { ...data, enqueuedAt: prevMillis ?? timestamp + delay } : data
  }

  get signal (): AbortSignal {
    return (this.#controller ??= new AbortController()).signal
  }

  abort (reason: Error): void {
    this.#controller ??= new AbortController()
    this.#controller.abort(reason)
  }

  /** To the queue, as if it had not been delivered. */
  async giveBack (): Promise<void> {
    await this.#job.moveToWait(this.#job.token)
  }
}
