import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type { Cancellation, Enqueued, EnqueueOptions, Health, JobInfo, QueueAdapter, ScheduleOptions, Task, Worker as WorkerHandle, WorkerOptions } from '../../types/index.ts'
import { brief, FST_ERR_BGT_INVALID_OPTIONS, FST_ERR_BGT_NO_ADAPTER, FST_ERR_BGT_NO_CAPABILITY, FST_ERR_BGT_NOT_READY } from '../errors.ts'
import { Escalation } from '../in-process/escalation.ts'
import { checkJson } from '../json.ts'
import { checkOptions, resolveWorkerOptions, type ResolvedOptions } from '../options.ts'
import type { Events } from '../run/events.ts'
import { type Registry, requireCapability, settingsOf } from '../task/task.ts'
import { withDeadline } from '../time.ts'
import { asUnavailable } from '../unavailable.ts'
import { makeData, ONCE, type Origin } from './job.ts'
import { Producer } from './producer.ts'
import { Worker } from './worker.ts'

/** ms that an adapter gets to close. */
const CLOSING = 5_000

/** The queue side of an application: its adapter, if it has one, and whoever uses it. */
export class Queue {
  readonly adapter: QueueAdapter | undefined
  readonly producer: Producer | undefined
  readonly escalation: Escalation | undefined
  readonly #registry: Registry
  readonly #events: Events
  readonly #options: ResolvedOptions
  readonly #workers: Worker[] = []
  #started = false

  constructor (registry: Registry, events: Events, options: ResolvedOptions) {
    const { adapter } = options
    this.adapter = adapter
    this.producer = adapter && new Producer(adapter, registry, options)
    this.escalation = this.producer && new Escalation(this.producer, options)
    this.#registry = registry
    this.#events = events
    this.#options = options
  }

  get enqueued (): number {
    return this.producer?.enqueued ?? 0
  }

  get #queues (): string[] {
    return [...new Set([...this.#registry.values()].map(({ task }) => task.queue))]
  }

  async start (log: FastifyBaseLogger): Promise<void> {
    await this.adapter?.start({ queues: this.#queues, log })
    this.#started = true
  }

  async enqueue (origin: Origin, task: Task, payload: unknown, options: EnqueueOptions = {}): Promise<Enqueued> {
    this.#require('enqueue')
    return await this.producer!.enqueue(task, payload, options, origin)
  }

  async enqueueMany (origin: Origin, task: Task, payloads: readonly unknown[], options: EnqueueOptions = {}): Promise<Enqueued[]> {
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

  async schedule (task: Task, options: ScheduleOptions<unknown>): Promise<void> {
    const adapter = this.#require('schedule')
    requireCapability(adapter, 'schedule', `A schedule of task "${task.name}"`)
    const settings = settingsOf(this.#registry, task)
    checkOptions('schedule', 'options', options)
    const { cron, timezone, payload, name = task.name } = options
    if (adapter.capabilities.schedule === 'minute' && cron.trim().split(/\s+/).length > 5) {
      throw new FST_ERR_BGT_NO_CAPABILITY(`The schedule "${cron}"`, 'schedule by the second', adapter.name)
    }
    task.parse(payload)
    checkJson(task.name, payload, this.#options.maxPayload)
    const { enqueuedAt, ...data } = makeData(task, payload, {}, this.#options.trace)
    await this.#ask(() => adapter.schedule!({
      name,
      cron,
      ...(timezone !== undefined && { timezone }),
      queue: task.queue,
      task: task.name,
      data,
      priority: task.priority,
      retry: settings.retry ?? ONCE
    }))
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

  async work (app: FastifyInstance, given: WorkerOptions): Promise<WorkerHandle> {
    const adapter = this.#require('work')
    const options = resolveWorkerOptions(given, { queues: this.#queues, drainTimeout: this.#options.drainTimeout })
    this.#checkWork(options.queues)
    const worker = new Worker(app, adapter, this.#registry, this.#events, { ...options, plugin: this.#options })
    this.#workers.push(worker)
    await worker.start()
    return worker
  }

  async closeWorkers (): Promise<void> {
    await Promise.all(this.#workers.map(worker => worker.close()))
  }

  async close (log: FastifyBaseLogger): Promise<void> {
    if (this.adapter === undefined || !this.#started) return
    try {
      await withDeadline(CLOSING, () => this.adapter!.close({ grace: CLOSING }))
    } catch (err) {
      log.error({ err, adapter: this.adapter.name }, 'background tasks queue failed to close')
    }
  }

  /** A worker that had nothing to do would wait for ever, and look well. */
  #checkWork (queues: readonly string[]): void {
    const known = this.#queues
    if (known.length === 0) throw new FST_ERR_BGT_INVALID_OPTIONS('options/tasks', 'Expected a task for the worker to run, got []')
    const index = queues.findIndex(queue => !known.includes(queue))
    if (index !== -1) throw new FST_ERR_BGT_INVALID_OPTIONS(`options/queues/${index}`, `Expected one of ${known.join(', ')}, which have tasks, got ${brief(queues[index])}`)
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
