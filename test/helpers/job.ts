import { randomUUID } from 'node:crypto'
import type { ActiveJob, Job, JobData, JobVerdict } from '../../types/index.ts'

export const completed: JobVerdict = { state: 'completed', result: undefined }

export function makeJob (given: Partial<Job> = {}): Job {
  return {
    id: randomUUID(),
    queue: 'mail',
    task: 'welcome',
    data: { payload: { to: 'a@example.com' }, version: 1, enqueuedAt: Date.now() },
    delay: 0,
    priority: 50,
    retry: { attempts: 3, delay: 10, backoff: 'fixed', maxDelay: 1_000, jitter: 0 },
    ...given
  }
}

export function makeJobs (count: number, given?: Partial<Job>): Job[] {
  return Array.from({ length: count }, () => makeJob(given))
}

/** Of a job that this package has stored. */
export function dataOf ({ data }: ActiveJob): JobData {
  return data as JobData
}
