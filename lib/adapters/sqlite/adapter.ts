import type {
  Cancellation, Capabilities, CloseOptions, Consumer, EnqueueContext, Health, Job, JobInfo, QueueAdapter, Receipt,
  RunJob, Schedule, StartOptions, WorkOptions
} from '../../../types/index.ts'
import { closeAll } from '../kit/closing.ts'
import { Opened } from '../kit/opened.ts'
import { unavailable } from './connection.ts'
import { SqliteConsumer } from './consumer.ts'
import { fileOf, type SqliteLike } from './driver.ts'
import { Engine } from './engine.ts'
import { enqueue } from './enqueue.ts'
import { healthOf } from './health.ts'
import type { ResolvedOptions } from './options.ts'
import { cancel, find } from './status.ts'

export class SqliteAdapter implements QueueAdapter<SqliteLike | undefined> {
  readonly name = 'sqlite'
  readonly capabilities: Capabilities
  readonly #options: ResolvedOptions
  readonly #opened = new Opened<Engine>(unavailable)
  readonly #consumers = new Set<SqliteConsumer>()

  constructor (options: ResolvedOptions) {
    const { file, database } = options
    this.#options = options
    this.capabilities = {
      delay: true,
      priority: true,
      dedupe: true,
      retry: true,
      result: true,
      cancelPending: true,
      transactional: true,
      durable: database === undefined ? file !== ':memory:' : fileOf(database) !== '',
      schedule: 'second',
      missedOnce: true,
      batch: { max: 500, inFlight: 1 }
    }
  }

  /** `undefined` until a `file` is opened, which is at start. */
  get native (): SqliteLike | undefined {
    return this.#options.database ?? this.#opened.current?.connection.database
  }

  /** @throws FST_ERR_BGT_MISSING_PEER, FST_ERR_BGT_NEWER_SCHEMA, FST_ERR_BGT_QUEUE_UNAVAILABLE */
  async start ({ log }: StartOptions): Promise<void> {
    const engine = await Engine.open(this.#options, log)
    if (!this.#opened.start(engine)) engine.close()
  }

  async enqueue (jobs: readonly Job[], context: EnqueueContext = {}): Promise<Receipt[]> {
    const { connection, pump } = this.#opened.engine
    const receipts = await enqueue(connection, jobs, context)
    if (context.tx === undefined) pump.wake()
    return receipts
  }

  async work (queue: string, run: RunJob, options: WorkOptions): Promise<Consumer> {
    const consumer = new SqliteConsumer(this.#opened.engineForWork, queue, run, options)
    this.#consumers.add(consumer)
    return consumer
  }

  async status (id: string): Promise<JobInfo | null> {
    const { connection } = this.#opened.engine
    return connection.whenFree(() => find(connection, id))
  }

  async cancel (id: string): Promise<Cancellation> {
    const { connection, pump } = this.#opened.engine
    const outcome = await connection.write(() => cancel(connection, id))
    if (outcome === 'running') pump.look()
    return outcome
  }

  /** @throws FST_ERR_BGT_INVALID_OPTIONS, FST_ERR_BGT_MISSING_PEER, FST_ERR_BGT_QUEUE_UNAVAILABLE */
  async schedule (schedule: Schedule): Promise<void> {
    const { schedules, pump } = this.#opened.engine
    await schedules.schedule(schedule)
    pump.wake()
  }

  async unschedule (name: string): Promise<boolean> {
    return this.#opened.engine.schedules.unschedule(name)
  }

  async health (): Promise<Health> {
    return this.#opened.health(healthOf)
  }

  async close (options?: CloseOptions): Promise<void> {
    this.#opened.closing()
    this.#opened.current?.sweeper.stop()
    await closeAll(this.#consumers, options)
    this.#opened.close()?.close()
  }
}
