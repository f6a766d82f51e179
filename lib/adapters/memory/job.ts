import type { Job, JobInfo } from '../../../types/index.ts'
import type { Delivery } from '../kit/delivery.ts'
import { toJobInfo } from '../kit/job-info.ts'

/** A job as the store keeps it. What came in and what goes out are copies, made as JSON makes them. */
export class StoredJob {
  readonly queue: string
  readonly task: string
  readonly priority: number
  readonly data: string
  readonly info: { -readonly [Key in keyof JobInfo]: JobInfo[Key] }
  /** The run under way. It tells its verdict from that of a run that has lost the job. */
  delivery: Delivery | undefined = undefined
  /** Somebody asked for its end while a worker had it. The next one is told so too. */
  cancelled = false
  timer: NodeJS.Timeout | undefined = undefined

  constructor ({ id, queue, task, data, priority }: Job) {
    this.queue = queue
    this.task = task
    this.priority = priority
    this.data = JSON.stringify(data)
    const { owner } = data
    this.info = toJobInfo({ id, task, queue, state: 'pending', attempts: 0, owner, enqueuedAt: Date.now() })
  }
}
