import type { PgBoss } from 'pg-boss'
import type { Cancellation, Capabilities, CloseOptions, Consumer, EnqueueContext, Health, Job, JobInfo, QueueAdapter, Receipt, RunJob, Schedule, StartOptions, WorkOptions } from '../../../types/index.ts'
import { FST_ERR_BGT_INVALID_OPTIONS } from '../../errors.ts'
import { PgBossConsumer } from './consumer.ts'
import { Engine } from './engine.ts'
import { Producer } from './enqueue.ts'
import { healthOf } from './health.ts'
import { type PgBossOptions, resolveSettings, type Settings } from './options.ts'
import { removeSchedule, setSchedule } from './schedules.ts'
import { cancel, statusOf } from './status.ts'
import { unavailable } from './unavailable.ts'

export type { PgBossOptions, PgBossWorkOptions } from './options.ts'
export type { RetentionOptions } from '../kit/retention.ts'

/**
 * Jobs in PostgreSQL, by pg-boss 12: `npm install pg-boss`. `enqueue` takes as `tx` a client of `pg` within
 * a transaction, or an object with pg-boss's `executeSql`; the job then exists if that transaction commits.
 *
 * @throws FST_ERR_BGT_INVALID_OPTIONS
 */
export function pgBoss (options: PgBossOptions = {}): QueueAdapter<PgBoss> {
  return new PgBossAdapter(resolveSettings(options))
}

class PgBossAdapter implements QueueAdapter<PgBoss> {
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
    batch: { max: 200, inFlight: 2 }
  }

  readonly #settings: Settings
  readonly #consumers = new Set<PgBossConsumer>()
  #engine: Engine | undefined
  #producer: Producer | undefined
  #closed = false

  constructor (settings: Settings) {
    this.#settings = settings
  }

  get native (): PgBoss {
    return this.#open().boss
  }

  async start (options: StartOptions): Promise<void> {
    this.#engine = await Engine.load(this.#settings, options)
    this.#producer = new Producer(this.#engine)
    await (this.#closed ? this.#engine.close() : this.#engine.start())
  }

  async enqueue (jobs: readonly Job[], context: EnqueueContext = {}): Promise<Receipt[]> {
    this.#open()
    return this.#producer!.enqueue(jobs, context)
  }

  work (queue: string, run: RunJob, options: WorkOptions): Promise<Consumer> {
    return new Promise(resolve => {
      const engine = this.#open()
      if (!engine.queues.includes(queue)) throw new FST_ERR_BGT_INVALID_OPTIONS('queue', `expected one of those given to start, got ${JSON.stringify(queue)}`)
      const consumer = new PgBossConsumer(engine, queue, run, options)
      this.#consumers.add(consumer)
      resolve(consumer)
    })
  }

  async status (id: string): Promise<JobInfo | null> {
    return statusOf(this.#running(), id)
  }

  async cancel (id: string): Promise<Cancellation> {
    return cancel(this.#running(), id)
  }

  async schedule (schedule: Schedule): Promise<void> {
    await setSchedule(this.#running(), schedule)
  }

  async unschedule (name: string): Promise<boolean> {
    return removeSchedule(this.#running(), name)
  }

  async health (): Promise<Health> {
    if (this.#engine === undefined || this.#closed) return { ok: false, warnings: [], error: this.#closed ? 'it is closed' : 'it was not started' }
    return healthOf(this.#engine)
  }

  async close (options?: CloseOptions): Promise<void> {
    this.#closed = true
    await Promise.all(Array.from(this.#consumers, consumer => consumer.close(options)))
    await this.#engine?.close()
  }

  #open (): Engine {
    if (this.#engine === undefined || this.#closed) throw unavailable(this.#closed ? 'it is closed' : 'it was not started', false)
    return this.#engine
  }

  #running (): Engine {
    const engine = this.#open()
    if (!engine.isReady) throw unavailable('pg-boss has not started yet', false)
    return engine
  }
}
