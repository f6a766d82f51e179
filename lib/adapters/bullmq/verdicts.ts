import type { Job } from 'bullmq'
import type { JobVerdict } from '../../../types/index.ts'
import { toBullmqError } from './failure.ts'
import type { Bullmq } from './queues.ts'
import { toBullmqResult, toCancelledResult } from './result.ts'

/**
 * Says a verdict as BullMQ hears it: by what is returned or thrown here, and by options of the job, which change
 * for this process only.
 */
export async function record (job: Job, token: string, verdict: JobVerdict, bullmq: Bullmq): Promise<unknown> {
  switch (verdict.state) {
    case 'completed':
      return toBullmqResult(verdict.result)
    case 'cancelled':
      return toCancelledResult(verdict.error)
    case 'postponed':
      await job.moveToDelayed(Date.now() + Math.ceil(verdict.delay), token)
      throw new bullmq.DelayedError()
    case 'retrying':
      job.opts.attempts = job.attemptsMade + 2
      job.opts.backoff = { type: 'fixed', delay: Math.ceil(verdict.delay) }
      break
    case 'failed':
      job.opts.attempts = 0
  }
  throw toBullmqError(verdict.error)
}
