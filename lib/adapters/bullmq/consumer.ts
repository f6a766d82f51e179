import type { Job, Worker, WorkerOptions } from 'bullmq'
import type { CloseOptions, Consumer, JobVerdict, RunJob } from '../../../types/index.ts'
import { FST_ERR_BGT_CANCELLED, FST_ERR_BGT_STALLED } from '../../errors.ts'
import { within } from '../../time.ts'
import { BullActiveJob } from './delivery.ts'
import type { Server } from './engine.ts'
import { stalledReason, toBullError } from './failure.ts'
import type { Bullmq } from './queues.ts'
import { toBullResult, toCancelledResult } from './result.ts'
import type { Reporter } from './trouble-log.ts'
import { unavailable } from './unavailable.ts'
import { WorkerClient } from './worker-client.ts'

/** ms that closing waits for Redis to record what has ended. */
const LAST_CALL = 1_000

/** Runs the jobs of one queue, by a Worker of BullMQ. */
export class BullConsumer implements Consumer {
  readonly worker: Worker
  readonly #bullmq: Bullmq
  readonly #client: WorkerClient
  readonly #run: RunJob
  readonly #reporter: Reporter
  readonly #running = new Map<string, BullActiveJob>()
  #idle: (() => void) | undefined = undefined
  #closed: Promise<void> | undefined = undefined

  constructor ({ bullmq, workerClient, reporter, log }: Server, queue: string, run: RunJob, options: Omit<WorkerOptions, 'connection'>) {
    this.#bullmq = bullmq
    this.#client = new WorkerClient(bullmq, workerClient, reporter)
    this.#run = run
    this.#reporter = reporter
    this.worker = new bullmq.Worker(queue, (job, token) => this.#process(job, token!), { ...options, connection: this.#client.client })
    this.worker.on('error', err => { if (this.#closed === undefined) reporter.report(err) })
    this.worker.on('stalled', taskId => log.warn({ queue, taskId }, 'background task is delivered again: its worker has died, or lost it'))
    this.worker.on('failed', (job, { message }) => {
      if (job === undefined || message !== stalledReason) return
      log.error({ err: new FST_ERR_BGT_STALLED(job.name, job.stalledCounter), task: job.name, taskId: job.id }, 'background task failed')
    })
    this.worker.on('lockRenewalFailed', ids => {
      for (const id of ids) this.#running.get(id)?.abort(unavailable('the lease ran out, and the job goes to another worker', false))
    })
  }

  cancel (id: string): void {
    const job = this.#running.get(id)
    job?.abort(new FST_ERR_BGT_CANCELLED(job.task))
  }

  close (options: CloseOptions = {}): Promise<void> {
    return (this.#closed ??= this.#close(options))
  }

  /** `worker.close()` has no deadline, and no `close(true)` can follow it. So this waits, and then closes by force. */
  async #close ({ grace }: CloseOptions): Promise<void> {
    const paused = this.worker.pause().catch(() => {})
    const idle = new Promise<void>(resolve => { this.#idle = resolve })
    if (this.#running.size === 0) this.#idle!()
    if (grace === undefined) await idle
    const inTime = (grace === undefined || await within(grace, idle)) && await within(LAST_CALL, paused)
    if (!inTime) await within(LAST_CALL, this.#giveBack())
    await within(LAST_CALL, this.worker.close(true))
    this.#client.close()
  }

  async #process (job: Job, token: string): Promise<unknown> {
    const active = new BullActiveJob(this.worker.name, job)
    // It was on its way when the worker was told to stop.
    if (this.#closed !== undefined) {
      await active.giveBack()
      throw new this.#bullmq.WaitingError()
    }
    this.#running.set(active.id, active)
    const verdict = await this.#run(active)
    this.#running.delete(active.id)
    if (this.#running.size === 0) this.#idle?.()
    return this.#record(job, token, verdict)
  }

  /** What BullMQ makes of a job follows from what is returned or thrown here. Its options change for this process only. */
  async #record (job: Job, token: string, verdict: JobVerdict): Promise<unknown> {
    switch (verdict.state) {
      case 'completed':
        return toBullResult(verdict.result)
      case 'cancelled':
        return toCancelledResult(verdict.error)
      case 'postponed':
        await job.moveToDelayed(Date.now() + Math.ceil(verdict.delay), token)
        throw new this.#bullmq.DelayedError()
      case 'retrying':
        job.opts.attempts = job.attemptsMade + 2
        job.opts.backoff = { type: 'fixed', delay: Math.ceil(verdict.delay) }
        break
      case 'failed':
        job.opts.attempts = 0
    }
    throw toBullError(verdict.error)
  }

  async #giveBack (): Promise<void> {
    const reason = unavailable('the worker has closed, and the job goes to another', false)
    const jobs = [...this.#running.values()]
    for (const job of jobs) job.abort(reason)
    await Promise.all(jobs.map(job => job.giveBack().catch(this.#reporter.report)))
  }
}
