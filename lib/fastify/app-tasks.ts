import type { FastifyInstance } from 'fastify'
import type { BackgroundTasks, Cancellation, Enqueued, EnqueueOptions, Health, QueueAdapter, ScheduleOptions, Stats, Task, TaskHandle, TaskInfo, Worker, WorkerOptions } from '../../types/index.ts'
import { FST_ERR_BGT_IDLE_TIMEOUT } from '../errors.ts'
import type { Intake } from '../in-process/intake.ts'
import { Lane } from '../in-process/lane.ts'
import type { StatusBook } from '../in-process/status-book.ts'
import { checkOptions } from '../options.ts'
import type { Queue } from '../queue/queue.ts'
import { within } from '../time.ts'

/** `app.backgroundTasks`. */
export class Service implements BackgroundTasks {
  readonly #app: FastifyInstance
  readonly #intake: Intake
  readonly #queue: Queue
  readonly #book: StatusBook

  constructor (app: FastifyInstance, intake: Intake, queue: Queue, book: StatusBook) {
    this.#app = app
    this.#intake = intake
    this.#queue = queue
    this.#book = book
  }

  get adapter (): QueueAdapter | undefined {
    return this.#queue.adapter
  }

  add (first: unknown, ...rest: unknown[]): TaskHandle {
    const lane = new Lane(this.#intake.dispatcher, this.#app.log)
    const handle = this.#intake.add(lane, first, rest)
    this.#intake.dispatcher.release(lane)
    return handle
  }

  async idle (options: { timeout?: number } = {}): Promise<void> {
    checkOptions('idle', 'options', options)
    const { accounts } = this.#intake.dispatcher
    const { timeout } = options
    if (timeout === undefined) return accounts.idle()
    if (await within(timeout, accounts.idle())) return
    throw new FST_ERR_BGT_IDLE_TIMEOUT(timeout, accounts.waiting, accounts.in.running)
  }

  stats (): Stats {
    return { ...this.#intake.dispatcher.accounts.stats(), enqueued: this.#queue.enqueued }
  }

  enqueue (task: Task, payload?: unknown, options?: EnqueueOptions): Promise<Enqueued> {
    return this.#queue.enqueue({}, task, payload, options)
  }

  enqueueMany (task: Task, payloads: readonly unknown[], options?: EnqueueOptions): Promise<Enqueued[]> {
    return this.#queue.enqueueMany({}, task, payloads, options)
  }

  async status (id: string): Promise<TaskInfo | null> {
    return this.#book.get(id) ?? await this.#queue.status(id)
  }

  async cancel (id: string): Promise<Cancellation> {
    const handle = this.#book.handle(id)
    if (handle !== undefined) return handle.cancel()
    return this.#book.get(id) === undefined ? await this.#queue.cancel(id) : 'finished'
  }

  schedule <Input>(task: Task<Input>, options: ScheduleOptions<Input>): Promise<void> {
    return this.#queue.schedule(task, options)
  }

  unschedule (name: string): Promise<boolean> {
    return this.#queue.unschedule(name)
  }

  health (): Promise<Health> {
    return this.#queue.health()
  }

  work (options: WorkerOptions = {}): Promise<Worker> {
    return this.#queue.work(this.#app, options)
  }
}
