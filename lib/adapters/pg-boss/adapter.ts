import type { PgBoss } from 'pg-boss'
import type {
  Cancellation, Capabilities, CloseOptions, Consumer, EnqueueContext, Health, Job, JobInfo, QueueAdapter, Receipt,
  RunJob, Schedule, StartOptions, WorkOptions
} from '../../../types/index.ts'
import { FST_ERR_BGT_INVALID_OPTIONS } from '../../errors.ts'
import { closeAll } from '../kit/closing.ts'
import { Opened } from '../kit/opened.ts'
import { PgBossConsumer } from './consumer.ts'
import { unavailable } from './database.ts'
import { Engine } from './engine.ts'
import { enqueue } from './enqueue.ts'
import { healthOf } from './health.ts'
import type { ResolvedOptions } from './options.ts'
import { schedule, unschedule } from './schedules.ts'
import { cancel, find } from './status.ts'

export class PgBossAdapter implements QueueAdapter<PgBoss> {
  readonly name = 'pg-boss'
  readonly capabilities: Capabilities = {
    delay: true,
    priority: true,
    dedupe: true,
    retry: true,
    result: true,
    cancelPending: true,
    transactional: true,
    durable: true,
    schedule: 'minute',
    missedOnce: false,
    batch: { max: 200, inFlight: 2 }
  }

  readonly #options: ResolvedOptions
  readonly #opened = new Opened<Engine>(unavailable)
  readonly #consumers = new Set<PgBossConsumer>()

  constructor (options: ResolvedOptions) {
    this.#options = options
  }

  get native (): PgBoss {
    return this.#opened.engine.boss
  }

  /** @throws FST_ERR_BGT_INVALID_OPTIONS, FST_ERR_BGT_MISSING_PEER */
  async start (options: StartOptions): Promise<void> {
    const engine = await Engine.load(this.#options, options)
    await (this.#opened.start(engine) ? engine.start() : engine.close())
  }

  async enqueue (jobs: readonly Job[], context: EnqueueContext = {}): Promise<Receipt[]> {
    return enqueue(this.#ready, jobs, context)
  }

  async work (queue: string, run: RunJob, options: WorkOptions): Promise<Consumer> {
    const engine = this.#opened.engineForWork
    if (!engine.queues.includes(queue)) {
      const problem = `Expected one of those given to start, got ${JSON.stringify(queue)}`
      throw new FST_ERR_BGT_INVALID_OPTIONS('queue', problem)
    }
    const consumer = new PgBossConsumer(engine, queue, run, options)
    this.#consumers.add(consumer)
    return consumer
  }

  async status (id: string): Promise<JobInfo | null> {
    return find(this.#ready, id)
  }

  async cancel (id: string): Promise<Cancellation> {
    return cancel(this.#ready, id)
  }

  async schedule (given: Schedule): Promise<void> {
    await schedule(this.#ready, given)
  }

  async unschedule (name: string): Promise<boolean> {
    return unschedule(this.#ready, name)
  }

  async health (): Promise<Health> {
    return this.#opened.health(healthOf)
  }

  async close (options?: CloseOptions): Promise<void> {
    const engine = this.#opened.close()
    await closeAll(this.#consumers, options)
    await engine?.close()
  }

  get #ready (): Engine {
    const { engine } = this.#opened
    engine.assertReady()
    return engine
  }
}
