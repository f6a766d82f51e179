import type { Job, JobJson, Worker } from 'bullmq'
import type { Bullmq } from './queues.ts'

/** A Worker that takes jobs whose data cannot be parsed too: their `data` is `undefined`. BullMQ's own drops them. */
export function readingWorker (bullmq: Bullmq): typeof Worker {
  return class extends bullmq.Worker {
    protected override createJob (stored: JobJson, id: string): Job {
      try {
        return super.createJob(stored, id)
      } catch {
        return Object.assign(super.createJob({ ...stored, data: 'null' }, id), { data: undefined })
      }
    }
  }
}
