import type { Queue, Worker } from 'bullmq'
import type { Redis } from 'ioredis'
import type {
  Cancellation, Capabilities, CloseOptions, Consumer, EnqueueContext, Health, Job, JobInfo, QueueAdapter, Receipt,
  RunJob, Schedule, StartOptions, WorkOptions
} from '../../../types/index.ts'
import { closeAll } from '../kit/closing.ts'
import { Opened } from '../kit/opened.ts'
import { unavailable } from './connection.ts'
import { BullmqConsumer } from './consumer.ts'
import { Engine } from './engine.ts'
import { enqueue } from './enqueue.ts'
import { healthOf } from './health.ts'
import type { ResolvedOptions } from './options.ts'
import { schedule, unschedule } from './schedules.ts'
import { cancel, find } from './status.ts'

export interface BullmqNative {
  /** The ioredis client that jobs are stored with. It fails fast: do not block on it. */
  readonly client: Redis
  /** A `Queue` on that client. Rejects with FST_ERR_BGT_QUEUE_UNAVAILABLE as long as Redis is away. */
  queue (name: string): Promise<Queue>
  /** The latest `Worker` that this process has for a queue. */
  worker (name: string): Worker | undefined
}

export class BullmqAdapter implements QueueAdapter<BullmqNative> {
  readonly name = 'bullmq'
  readonly capabilities: Capabilities = {
    delay: true,
    priority: true,
    dedupe: true,
    retry: true,
    result: true,
    cancelPending: true,
    transactional: false,
    durable: true,
    schedule: 'second',
    missedOnce: true,
    batch: false
  }

  readonly native: BullmqNative
  readonly #options: ResolvedOptions
  readonly #opened = new Opened<Engine>(unavailable)
  readonly #consumers = new Set<BullmqConsumer>()
  #closed: Promise<void> | undefined = undefined

  constructor (options: ResolvedOptions) {
    const opened = this.#opened
    this.#options = options
    this.native = {
      get client () { return opened.engine.connection.client },
      queue: async name => opened.engine.nativeQueues.open(name),
      worker: name => [...this.#consumers].findLast(({ queue }) => queue === name)?.worker
    }
  }

  /** @throws FST_ERR_BGT_INVALID_OPTIONS, FST_ERR_BGT_MISSING_PEER */
  async start (options: StartOptions): Promise<void> {
    const engine = await Engine.load(this.#options, options)
    if (!this.#opened.start(engine)) return engine.close()
    await engine.connection.tried()
    await engine.checkServer()
  }

  async enqueue (jobs: readonly Job[], context: EnqueueContext = {}): Promise<Receipt[]> {
    return enqueue(this.#opened.engine, jobs, context)
  }

  async work (queue: string, run: RunJob, options: WorkOptions): Promise<Consumer> {
    const consumer = new BullmqConsumer(this.#opened.engineForWork, queue, run, options)
    this.#consumers.add(consumer)
    return {
      close: async options => {
        await consumer.close(options)
        this.#consumers.delete(consumer)
      }
    }
  }

  async status (id: string): Promise<JobInfo | null> {
    return find(this.#opened.engine, id)
  }

  async cancel (id: string): Promise<Cancellation> {
    return cancel(this.#opened.engine, id)
  }

  async schedule (given: Schedule): Promise<void> {
    await schedule(this.#opened.engine, given)
  }

  async unschedule (name: string): Promise<boolean> {
    return unschedule(this.#opened.engine, name)
  }

  async health (): Promise<Health> {
    return this.#opened.health(healthOf)
  }

  close (options?: CloseOptions): Promise<void> {
    return (this.#closed ??= this.#close(options))
  }

  async #close (options?: CloseOptions): Promise<void> {
    const engine = this.#opened.close()
    await closeAll(this.#consumers, options)
    await engine?.close()
  }
}
