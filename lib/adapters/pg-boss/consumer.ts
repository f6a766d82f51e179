import type { CloseOptions, Consumer, JobVerdict, RunJob, WorkOptions } from '../../../types/index.ts'
import { MAX_TIMER } from '../../check.ts'
import { within } from '../../time.ts'
import { endInTime } from '../kit/closing.ts'
import { WakeUp } from '../kit/wake-up.ts'
import { PgBossDelivery } from './delivery.ts'
import type { Engine } from './engine.ts'
import { Leases } from './leases.ts'
import { type FetchedRow, inOrder } from './statements.ts'
import { type Recorded, Verdicts } from './verdicts.ts'

const NOT_FETCHED = 'jobs could not be fetched, and are asked for again'
/** ms to give jobs back when the time to close is over. */
const GIVE_BACK = 1_000

/**
 * Fetches jobs with pg-boss, as many as may run, and runs them side by side. pg-boss's own worker would
 * wait for the slowest of a batch, or fetch and complete jobs one by one.
 */
export class PgBossConsumer implements Consumer {
  readonly #engine: Engine
  readonly #queue: string
  readonly #run: RunJob
  readonly #concurrency: number
  readonly #wakeUp = new WakeUp()
  readonly #leases: Leases
  readonly #verdicts: Verdicts
  readonly #deliveries = new Set<PgBossDelivery>()
  readonly #looped: Promise<void>
  readonly #stopListening: () => void
  #running = 0
  #setClosed!: () => void
  readonly #closing = new Promise<void>(resolve => { this.#setClosed = resolve })
  #isClosed = false

  constructor (engine: Engine, queue: string, run: RunJob, { concurrency }: WorkOptions) {
    this.#engine = engine
    this.#queue = queue
    this.#run = run
    this.#concurrency = concurrency
    this.#verdicts = new Verdicts(engine, queue)
    this.#leases = new Leases(engine, queue, () => this.#wakeUp.wake())
    this.#stopListening = this.#listen()
    this.#looped = this.#loop()
  }

  async close ({ grace }: CloseOptions = {}): Promise<void> {
    this.#isClosed = true
    this.#setClosed()
    this.#stopListening()
    this.#wakeUp.wake()
    this.#verdicts.hurry(this.#engine.options.lease)
    const ended = this.#looped.then(() => Promise.all(Array.from(this.#deliveries, ({ ended }) => ended)))
    if (!await endInTime(ended, grace)) await this.#giveBack()
    this.#leases.stop()
  }

  #listen (): () => void {
    const { onJobs, onCancel } = this.#engine
    const onQueue = (queue?: string): void => {
      if (queue === undefined || queue === this.#queue) this.#wakeUp.wake()
    }
    const cancel = (id: string): void => this.#leases.cancel(id)
    onJobs.add(onQueue)
    onCancel.add(cancel)
    return () => {
      onJobs.delete(onQueue)
      onCancel.delete(cancel)
    }
  }

  async #loop (): Promise<void> {
    const { batchSize = 100, pollingIntervalSeconds = 0.5 } = this.#engine.options.workOptions
    await Promise.race([this.#engine.ready, this.#closing])
    while (!this.#isClosed) {
      const room = Math.min(this.#concurrency - this.#running, batchSize)
      if (room === 0) {
        await this.#wakeUp.sleep(MAX_TIMER)
        // A turn later, so that jobs that end together are replaced together.
        await new Promise(resolve => setImmediate(resolve))
        continue
      }
      const jobs = await this.#fetch(room)
      for (const row of jobs) this.#take(row)
      if (jobs.length < room) await this.#wakeUp.sleep(pollingIntervalSeconds * 1_000)
    }
  }

  async #fetch (room: number): Promise<FetchedRow[]> {
    const { boss, database: { soon }, options: { workOptions } } = this.#engine
    const { pollingIntervalSeconds, batchSize, ...rest } = workOptions
    const fetchOptions = { ...rest, batchSize: room, includeMetadata: true as const, db: inOrder(soon) }
    try {
      const rows = await boss.fetch(this.#queue, fetchOptions)
      this.#engine.cured(NOT_FETCHED, { queue: this.#queue })
      return rows as unknown[] as FetchedRow[]
    } catch (error) {
      this.#engine.trouble(error, NOT_FETCHED, { queue: this.#queue })
      return []
    }
  }

  #take (row: FetchedRow): void {
    const delivery = new PgBossDelivery(this.#engine, this.#queue, row)
    this.#deliveries.add(delivery)
    void delivery.ended.then(() => this.#deliveries.delete(delivery))
    if (this.#isClosed) void this.#record(delivery, { state: 'given-back', begun: false })
    else void this.#deliver(delivery)
  }

  async #deliver (delivery: PgBossDelivery): Promise<void> {
    this.#leases.hold(delivery)
    this.#running++
    const verdict = await this.#run(delivery.job)
    // Only where there was no room there may be jobs that nobody has asked for.
    if (this.#running-- >= this.#concurrency) this.#wakeUp.wake()
    if (delivery.overAt !== undefined) return
    await this.#record(delivery, verdict)
    this.#wakeFor(verdict)
  }

  async #record (delivery: PgBossDelivery, verdict: Recorded): Promise<void> {
    delivery.overAt = Date.now()
    await this.#verdicts.record(delivery, verdict)
    this.#leases.drop(delivery)
    delivery.end()
  }

  /** The next poll would be late for a short delay. A postponed job is better taken by another worker. */
  #wakeFor (verdict: JobVerdict): void {
    if (this.#isClosed || verdict.state !== 'retrying' || verdict.delay > 60_000) return
    setTimeout(() => this.#wakeUp.wake(), verdict.delay).unref()
  }

  async #giveBack (): Promise<void> {
    const left = [...this.#deliveries]
    for (const delivery of left.filter(({ overAt }) => overAt === undefined)) {
      delivery.job.abort('closed')
      void this.#record(delivery, { state: 'given-back', begun: true })
    }
    this.#verdicts.hurry(GIVE_BACK)
    await within(GIVE_BACK, Promise.all(left.map(({ ended }) => ended)))
  }
}
