import { once } from 'node:events'
import type { PgBoss } from 'pg-boss'
import pino from 'pino'
import type { Test } from 'tap'
import { pgBoss, type PgBossOptions } from '../../lib/adapters/pg-boss/index.ts'
import type { ActiveJob, Job, JobVerdict, QueueAdapter } from '../../types/index.ts'
import { completed, makeJob } from './job.ts'
import { LogLines } from './log-lines.ts'

export type PgBossAdapter = Required<QueueAdapter<PgBoss>>

export interface Started {
  readonly adapter: PgBossAdapter
  readonly log: LogLines
}

const queues = ['mails', 'reports']

export async function started (t: Test, options: PgBossOptions): Promise<Started> {
  const adapter = pgBoss(options) as PgBossAdapter
  const log = new LogLines('info')
  t.teardown(() => adapter.close({ grace: 0 }))
  await adapter.start({ queues, log: pino({ level: 'info' }, log.logger.stream) })
  return { adapter, log }
}

export function jobOf (payload: unknown = {}, rest: Partial<Job> = {}): Job {
  return makeJob({ queue: 'mails', task: 'mail', data: { payload, version: 1, enqueuedAt: Date.now() }, ...rest })
}

/** Runs jobs, and lets the test wait for so many. */
export class Runs {
  readonly jobs: ActiveJob[] = []
  readonly #verdict: (job: ActiveJob) => JobVerdict | Promise<JobVerdict>
  readonly #target = new EventTarget()

  constructor (verdict: (job: ActiveJob) => JobVerdict | Promise<JobVerdict> = () => completed) {
    this.#verdict = verdict
  }

  readonly run = async (job: ActiveJob): Promise<JobVerdict> => {
    this.jobs.push(job)
    this.#target.dispatchEvent(new Event('run'))
    return await this.#verdict(job)
  }

  async reach (count: number): Promise<void> {
    while (this.jobs.length < count) await once(this.#target, 'run')
  }
}

/** The state is written a moment after a verdict. */
export async function inState (adapter: PgBossAdapter, id: string, state: string): Promise<NonNullable<Awaited<ReturnType<PgBossAdapter['status']>>>> {
  for (;;) {
    const info = await adapter.status(id)
    if (info?.state === state) return info
    await new Promise(resolve => setTimeout(resolve, 10))
  }
}
