import type { FastifyBaseLogger } from 'fastify'
import type {
  ActiveJob, Consumer, JobVerdict, QueueAdapter, TracePropagation, VerdictError, Worker as WorkerHandle, WorkerStats
} from '../../types/index.ts'
import { cleanError } from '../engine-error.ts'
import { FST_ERR_BGT_UNKNOWN_TASK } from '../errors.ts'
import { toVerdictError } from '../failure.ts'
import { writeLine } from '../log.ts'
import type { Events } from '../run/events.ts'
import type { LoopWatch } from '../run/loop-watch.ts'
import type { DefinedSettings, Registry } from '../task/registry.ts'
import { within } from '../time.ts'
import { JobRun } from './job-run.ts'
import { isTaken, problemOf, type TakenJob } from './taken-job.ts'
import { continueTrace } from './trace.ts'
import { UnknownJobs } from './unknown-jobs.ts'
import type { ResolvedWorkerOptions } from './worker-options.ts'

/** ms that aborted tasks get to end. */
export const ABORT_TIME = 400

/** ms that verdicts get to be recorded then. */
const RECORD_TIME = 600

/** The application that a worker runs jobs for. */
export interface Application {
  readonly log: FastifyBaseLogger
  /** The name that a request's id has in log lines. */
  readonly requestIdLabel: string
  readonly events: Events
  readonly loopWatch: LoopWatch
  readonly registry: Registry
  readonly maxPayload: number
  readonly trace: TracePropagation | undefined
}

/** Takes jobs from queues, runs their tasks, and tells the queues the verdicts. */
export class Worker implements WorkerHandle {
  readonly queues: readonly string[]
  readonly drainTimeout: number
  readonly #adapter: QueueAdapter
  readonly #application: Application
  readonly #options: ResolvedWorkerOptions
  readonly #runs = new Set<JobRun>()
  readonly #unknown: UnknownJobs
  readonly #stats: WorkerStats = {
    running: 0,
    completed: 0,
    failed: 0,
    retrying: 0,
    postponed: 0,
    cancelled: 0,
    abandoned: 0
  }

  #consumers: Consumer[] = []
  #closed: Promise<void> | undefined = undefined

  constructor (adapter: QueueAdapter, application: Application, options: ResolvedWorkerOptions) {
    this.queues = options.queues
    this.drainTimeout = options.drainTimeout
    this.#adapter = adapter
    this.#application = application
    this.#options = options
    this.#unknown = new UnknownJobs(options.unknown)
    application.loopWatch.add({
      running: () => this.#runs.size,
      attempts: () => Array.from(this.#runs, ({ begun }) => begun)
    })
  }

  get #log (): FastifyBaseLogger {
    return this.#application.log
  }

  async start (): Promise<void> {
    const { concurrency } = this.#options
    const results = await Promise.allSettled(this.queues.map(queue =>
      this.#adapter.work(queue, job => this.#run(job), { concurrency })))
    this.#consumers = results.filter(result => result.status === 'fulfilled').map(({ value }) => value)
    const failure = results.find(result => result.status === 'rejected')
    if (failure !== undefined) {
      await this.close()
      throw cleanError(failure.reason)
    }
    const fields = { queues: this.queues, concurrency, adapter: this.#adapter.name }
    writeLine(this.#log, 'info', fields, 'background task worker started')
  }

  stats (): WorkerStats {
    return { ...this.#stats, running: this.#runs.size }
  }

  close (): Promise<void> {
    return (this.#closed ??= this.#close())
  }

  async #close (): Promise<void> {
    const { drainTimeout } = this
    const grace = drainTimeout + ABORT_TIME + RECORD_TIME
    const failed = (error: unknown): void =>
      writeLine(this.#log, 'error', { err: cleanError(error) }, 'background task worker failed to close')
    const closed = Promise.all(this.#consumers.map(consumer => consumer.close({ grace }))).catch(failed)
    if (await within(drainTimeout, closed)) return
    for (const run of this.#runs) run.shutDown(drainTimeout)
    if (await within(ABORT_TIME, closed)) return
    for (const run of this.#runs) run.abandon()
    await within(RECORD_TIME, closed)
  }

  async #run (job: ActiveJob): Promise<JobVerdict> {
    const verdict = isTaken(job) ? await this.#judge(job) : this.#refuse(job)
    this.#stats[verdict.state]++
    return verdict
  }

  async #judge (job: TakenJob): Promise<JobVerdict> {
    const settings = this.#application.registry.get(job.task)
    if (settings === undefined) return this.#leave(job, 'it is not among its tasks')
    const { version } = settings.task
    if (job.data.version > version) return this.#leave(job, `it has version ${version}`)
    return await this.#perform(job, settings)
  }

  /** Another program has stored it, or has changed what this one stored. */
  #refuse (job: ActiveJob): JobVerdict {
    const { id: taskId, queue } = job
    const error = problemOf(job)
    writeLine(this.#log, 'error', { err: error, taskId, queue }, 'background task failed')
    return { state: 'failed', error: this.#describe(error) }
  }

  #describe (error: Error): VerdictError {
    return toVerdictError(error, this.#application.maxPayload)
  }

  /** A deployment may be under way: another worker, or this one's successor, may know the task. */
  #leave (job: TakenJob, problem: string): JobVerdict {
    const { id: taskId, task, data } = job
    const err = new FST_ERR_BGT_UNKNOWN_TASK(task, data.version, problem)
    const error = this.#describe(err)
    const age = this.#unknown.ageOf(job)
    if (age >= this.#options.unknown.grace) {
      this.#unknown.forget(job)
      writeLine(this.#log, 'error', { err, task, taskId }, 'background task failed')
      return { state: 'failed', error }
    }
    const jobs = this.#unknown.countOf(job)
    if (jobs > 0) writeLine(this.#log, 'warn', { err, task, taskId, jobs }, 'background task left to another worker')
    return { state: 'postponed', error, delay: this.#unknown.delayOf(age) }
  }

  #perform (job: TakenJob, settings: DefinedSettings): Promise<JobVerdict> {
    const log = this.#logFor(job)
    return continueTrace(job, this.#application.trace, log, async () => {
      const { events, loopWatch, maxPayload } = this.#application
      const keepsResult = this.#adapter.capabilities.result
      const run = new JobRun(job, settings, { events, loopWatch, log, stats: this.#stats, maxPayload, keepsResult })
      this.#runs.add(run)
      const verdict = await run.perform()
      this.#runs.delete(run)
      return verdict
    })
  }

  /** Lines of a job have the id of the request that enqueued it, under its usual name. A logger may throw. */
  #logFor ({ data: { requestId } }: TakenJob): FastifyBaseLogger {
    if (requestId === undefined) return this.#log
    try {
      return this.#log.child({ [this.#application.requestIdLabel]: requestId })
    } catch {
      return this.#log
    }
  }
}
