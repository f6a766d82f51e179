import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type { ActiveJob, Consumer, JobVerdict, QueueAdapter, Worker as WorkerHandle, WorkerStats } from '../../types/index.ts'
import { FST_ERR_BGT_UNKNOWN_TASK } from '../errors.ts'
import type { ResolvedOptions, ResolvedWorkerOptions } from '../options.ts'
import type { Events } from '../run/events.ts'
import type { Registered, Registry } from '../task/task.ts'
import { within } from '../time.ts'
import { JobRun } from './job-run.ts'

/** ms that aborted jobs get to end, and then their verdicts to be recorded. */
const LAST_CALL = 1_000

type Options = ResolvedWorkerOptions & { plugin: ResolvedOptions }

/** Takes jobs from queues, runs their tasks, and says what became of them. */
export class Worker implements WorkerHandle {
  readonly queues: readonly string[]
  readonly drainTimeout: number
  readonly #app: FastifyInstance
  readonly #log: FastifyBaseLogger
  readonly #adapter: QueueAdapter
  readonly #registry: Registry
  readonly #events: Events
  readonly #options: Options
  readonly #runs = new Set<JobRun>()
  readonly #stats: WorkerStats = { running: 0, completed: 0, failed: 0, retrying: 0, postponed: 0, cancelled: 0, abandoned: 0 }
  #consumers: Consumer[] = []
  #closed: Promise<void> | undefined = undefined

  constructor (app: FastifyInstance, adapter: QueueAdapter, registry: Registry, events: Events, options: Options) {
    this.queues = [...new Set(options.queues)]
    this.drainTimeout = options.drainTimeout
    this.#app = app
    this.#log = app.log
    this.#adapter = adapter
    this.#registry = registry
    this.#events = events
    this.#options = options
  }

  async start (): Promise<void> {
    const { concurrency } = this.#options
    const results = await Promise.allSettled(this.queues.map(queue =>
      this.#adapter.work(queue, job => this.#run(job), { concurrency })))
    this.#consumers = results.filter(({ status }) => status === 'fulfilled').map(result => (result as PromiseFulfilledResult<Consumer>).value)
    const failure = results.find(({ status }) => status === 'rejected') as PromiseRejectedResult | undefined
    if (failure !== undefined) {
      await this.close()
      throw failure.reason
    }
    this.#log.info({ queues: this.queues, concurrency, adapter: this.#adapter.name }, 'background tasks worker started')
  }

  stats (): WorkerStats {
    return { ...this.#stats, running: this.#runs.size }
  }

  close (): Promise<void> {
    return (this.#closed ??= this.#close())
  }

  async #close (): Promise<void> {
    const { drainTimeout } = this
    const grace = drainTimeout + 2 * LAST_CALL
    const failed = (err: unknown): void => this.#log.error({ err }, 'background tasks worker failed to close')
    const closed = Promise.all(this.#consumers.map(consumer => consumer.close({ grace }))).catch(failed)
    if (await within(drainTimeout, closed)) return
    for (const run of this.#runs) run.shutDown(drainTimeout)
    if (await within(LAST_CALL, closed)) return
    for (const run of this.#runs) run.abandon()
    await within(LAST_CALL, closed)
  }

  async #run (job: ActiveJob): Promise<JobVerdict> {
    const registered = this.#registry.get(job.task)
    const verdict = registered === undefined
      ? this.#leave(job, 'it is not among its tasks')
      : job.data.version > registered.task.version
        ? this.#leave(job, `it has version ${registered.task.version}`)
        : await this.#perform(job, registered)
    this.#stats[verdict.state]++
    return verdict
  }

  /** A deployment may be under way: another worker, or this one's successor, may know the task. */
  #leave ({ id, task, data }: ActiveJob, problem: string): JobVerdict {
    const { delay, grace } = this.#options.unknown
    const error = new FST_ERR_BGT_UNKNOWN_TASK(task, data.version, problem)
    const isOverdue = Date.now() - data.enqueuedAt - (data.delay ?? 0) > grace
    this.#log[isOverdue ? 'error' : 'warn']({ err: error, task, taskId: id }, isOverdue ? 'background task failed' : 'background task left to another worker')
    return isOverdue ? { state: 'failed', error } : { state: 'postponed', error, delay }
  }

  async #perform (job: ActiveJob, registered: Registered): Promise<JobVerdict> {
    const run = new JobRun(job, registered, this.#events, { log: this.#logFor(job), stats: this.#stats, plugin: this.#options.plugin, keepsResult: this.#adapter.capabilities.result })
    this.#runs.add(run)
    const verdict = await run.perform()
    this.#runs.delete(run)
    return verdict
  }

  /** Lines of a job have the id of the request that enqueued it, under the name it has everywhere. */
  #logFor ({ data: { requestId } }: ActiveJob): FastifyBaseLogger {
    if (requestId === undefined) return this.#log
    return this.#log.child({ [this.#app.initialConfig.requestIdLogLabel!]: requestId })
  }
}
