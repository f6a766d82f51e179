import { Type } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import type { FastifyBaseLogger } from 'fastify'
import type {
  Cancellation, Enqueued, EnqueueOptions, Health, JobInfo, QueueAdapter, ScheduleOptions, Task, TracePropagation,
  Worker as WorkerHandle, WorkerOptions
} from '../../types/index.ts'
import { check, type Checker } from '../check.ts'
import { FST_ERR_BGT_NO_ADAPTER, FST_ERR_BGT_NO_CAPABILITY, FST_ERR_BGT_NOT_READY } from '../errors.ts'
import { cleanError } from '../engine-error.ts'
import { writeLine } from '../log.ts'
import type { Events } from '../run/events.ts'
import type { LoopWatch } from '../run/loop-watch.ts'
import { requireCapability } from '../task/capability.ts'
import type { Registry } from '../task/registry.ts'
import { taskName } from '../task/settings.ts'
import { withDeadline } from '../time.ts'
import { asUnavailable } from '../unavailable.ts'
import { Jobs, type Origin } from './jobs.ts'
import { Producer } from './producer.ts'
import { type Application, Worker } from './worker.ts'
import { resolveWorkerOptions } from './worker-options.ts'

const scheduleOptions: Checker = TypeCompiler.Compile(Type.Object({
  cron: Type.String({ minLength: 1 }),
  timezone: Type.Optional(Type.String({ minLength: 1 })),
  payload: Type.Optional(Type.Unknown()),
  name: Type.Optional(taskName)
}, { additionalProperties: false }))

interface Options {
  readonly adapter: QueueAdapter | undefined
  readonly registry: Registry
  readonly enqueueTimeout: number
  readonly maxPayload: number
  readonly trace: TracePropagation | undefined
  readonly drainTimeout: number
}

/** The queue side of an application: its adapter, if it has one, and all that uses it. */
export class Queue {
  readonly adapter: QueueAdapter | undefined
  readonly producer: Producer | undefined
  readonly #jobs: Jobs
  readonly #events: Events
  readonly #loopWatch: LoopWatch
  readonly #options: Options
  readonly #workers: Worker[] = []
  #started = false

  constructor (events: Events, loopWatch: LoopWatch, options: Options) {
    const { adapter, registry, enqueueTimeout } = options
    this.adapter = adapter
    this.#jobs = new Jobs(options)
    this.producer = adapter && new Producer(adapter, this.#jobs, registry, enqueueTimeout)
    this.#events = events
    this.#loopWatch = loopWatch
    this.#options = options
  }

  get enqueued (): number {
    return this.producer?.enqueued ?? 0
  }

  async start (log: FastifyBaseLogger): Promise<void> {
    await this.adapter?.start({ queues: this.#options.registry.queues, log })
    this.#started = true
  }

  async enqueue (origin: Origin, task: Task, payload: unknown, options: EnqueueOptions = {}): Promise<Enqueued> {
    this.#require('enqueue')
    return await this.producer!.enqueue(task, payload, options, origin)
  }

  async enqueueMany (
    origin: Origin, task: Task, payloads: readonly unknown[], options: EnqueueOptions = {}
  ): Promise<Enqueued[]> {
    this.#require('enqueueMany')
    return await this.producer!.enqueueMany(task, payloads, options, origin)
  }

  async status (id: string): Promise<JobInfo | null> {
    if (this.adapter?.status === undefined || !this.#started) return null
    return await this.#ask(adapter => adapter.status!(id))
  }

  async cancel (id: string): Promise<Cancellation> {
    if (this.adapter?.cancel === undefined || !this.#started) return 'not-found'
    return await this.#ask(adapter => adapter.cancel!(id))
  }

  async schedule (task: Task, given: ScheduleOptions<unknown>): Promise<void> {
    const adapter = this.#require('schedule')
    requireCapability(adapter, 'schedule', `A schedule of task "${task.name}"`)
    const settings = this.#options.registry.settingsOf(task)
    check(scheduleOptions, 'options', given)
    const { cron, payload, name = task.name, timezone } = given
    if (adapter.capabilities.schedule === 'minute' && cron.trim().split(/\s+/).length > 5) {
      throw new FST_ERR_BGT_NO_CAPABILITY(`The schedule "${cron}"`, 'schedule by the second', adapter.name)
    }
    task.parse(payload)
    this.#jobs.check(task, payload)
    const { queue, priority, retry, data: { enqueuedAt, ...data } } = this.#jobs.make(settings, payload, {})
    const zone = timezone === undefined ? undefined : { timezone }
    await this.#ask(() => adapter.schedule!({ name, cron, ...zone, queue, task: task.name, data, priority, retry }))
  }

  async unschedule (name: string): Promise<boolean> {
    const adapter = this.#require('unschedule')
    requireCapability(adapter, 'schedule', `The schedule "${name}"`)
    return await this.#ask(() => adapter.unschedule!(name))
  }

  async health (): Promise<Health> {
    if (this.adapter === undefined) return { ok: true, warnings: [] }
    try {
      return await this.#ask(adapter => adapter.health())
    } catch (error) {
      return { ok: false, warnings: [], error: (error as Error).message }
    }
  }

  async work (given: WorkerOptions, host: Pick<Application, 'log' | 'requestIdLabel'>): Promise<WorkerHandle> {
    const adapter = this.#require('work')
    const { registry, drainTimeout, maxPayload, trace } = this.#options
    const options = resolveWorkerOptions(given, { queues: registry.queues, drainTimeout })
    const parts = { events: this.#events, loopWatch: this.#loopWatch, registry, maxPayload, trace }
    const worker = new Worker(adapter, { ...host, ...parts }, options)
    this.#workers.push(worker)
    await worker.start()
    return worker
  }

  /** ms that its workers give jobs to end; 0 without workers. */
  get drainTimeout (): number {
    return Math.max(0, ...this.#workers.map(({ drainTimeout }) => drainTimeout))
  }

  /** Jobs under way in this process. */
  get running (): number {
    return this.#workers.reduce((sum, worker) => sum + worker.stats().running, 0)
  }

  async closeWorkers (): Promise<void> {
    await Promise.all(this.#workers.map(worker => worker.close()))
  }

  /** @param ms that the adapter gets to close. */
  async close (log: FastifyBaseLogger, ms: number): Promise<void> {
    if (this.adapter === undefined || !this.#started) return
    try {
      await withDeadline(ms, () => this.adapter!.close({ grace: ms }))
    } catch (error) {
      const err = cleanError(error)
      writeLine(log, 'error', { err, adapter: this.adapter.name }, 'background task queue failed to close')
    }
  }

  #require (what: string): QueueAdapter {
    if (this.adapter === undefined) throw new FST_ERR_BGT_NO_ADAPTER(`"${what}"`)
    if (!this.#started) throw new FST_ERR_BGT_NOT_READY(`"${what}" was called`)
    return this.adapter
  }

  async #ask<T> (call: (adapter: QueueAdapter) => Promise<T>): Promise<T> {
    const adapter = this.adapter!
    try {
      return await withDeadline(this.#options.enqueueTimeout, () => call(adapter))
    } catch (cause) {
      throw asUnavailable(adapter.name, cause)
    }
  }
}
