import { Type } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import type { FastifyInstance } from 'fastify'
import type {
  BackgroundTasks, Cancellation, Enqueued, EnqueueOptions, Health, QueueAdapter, ScheduleOptions, Stats, Task,
  TaskHandle, TaskInfo, Worker, WorkerOptions
} from '../../types/index.ts'
import { check, type Checker, MAX_TIMER, ms } from '../check.ts'
import { FST_ERR_BGT_IDLE_TIMEOUT } from '../errors.ts'
import type { Accounts } from '../in-process/accounts.ts'
import type { Intake } from '../in-process/intake.ts'
import type { StatusBook } from '../in-process/status-book.ts'
import type { Queue } from '../queue/queue.ts'

const idleOptions: Checker = TypeCompiler.Compile(
  Type.Object({ timeout: ms(MAX_TIMER) }, { additionalProperties: false })
)

/** `app.backgroundTasks`. */
export class AppTasks implements BackgroundTasks {
  readonly #app: FastifyInstance
  readonly #intake: Intake
  readonly #accounts: Accounts
  readonly #book: StatusBook
  readonly #queue: Queue

  constructor (app: FastifyInstance, intake: Intake, accounts: Accounts, book: StatusBook, queue: Queue) {
    this.#app = app
    this.#intake = intake
    this.#accounts = accounts
    this.#book = book
    this.#queue = queue
  }

  get adapter (): QueueAdapter | undefined {
    return this.#queue.adapter
  }

  add (first: unknown, ...rest: unknown[]): TaskHandle {
    const lane = this.#intake.lane(this.#app.log)
    const task = this.#intake.add(lane, first, rest)
    lane.release()
    return task
  }

  async idle (options: { timeout?: number } = {}): Promise<void> {
    check(idleOptions, 'options', options)
    const accounts = this.#accounts
    const { timeout } = options
    if (await accounts.idle(timeout)) return
    throw new FST_ERR_BGT_IDLE_TIMEOUT(timeout!, accounts.waiting, accounts.running)
  }

  stats (): Stats {
    return { ...this.#accounts.stats(), enqueued: this.#queue.enqueued }
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
    const task = this.#book.task(id)
    if (task !== undefined) return task.cancel()
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
    const { log, initialConfig } = this.#app
    return this.#queue.work(options, { log, requestIdLabel: initialConfig.requestIdLogLabel! })
  }
}
