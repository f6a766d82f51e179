import type { Job } from 'pg-boss'
import type { CloseOptions, Consumer, JobVerdict, RunJob, WorkOptions } from '../../../types/index.ts'
import { MAX_TIMER } from '../../check.ts'
import { FST_ERR_BGT_CANCELLED } from '../../errors.ts'
import { within } from '../../time.ts'
import { Alarm } from './alarm.ts'
import { Delivery } from './delivery.ts'
import type { Engine } from './engine.ts'
import { Lease } from './leases.ts'
import { inOrder } from './statements.ts'
import { unavailable } from './unavailable.ts'
import { type Recorded, Verdicts } from './verdicts.ts'

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
  readonly #alarm = new Alarm()
  readonly #lease: Lease
  readonly #verdicts: Verdicts
  readonly #deliveries = new Set<Delivery>()
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
    this.#lease = new Lease(engine, queue, () => this.#alarm.ring())
    this.#stopListening = this.#listen()
    this.#looped = this.#loop()
  }

  async close ({ grace }: CloseOptions = {}): Promise<void> {
    this.#isClosed = true
    this.#setClosed()
    this.#stopListening()
    this.#alarm.ring()
    this.#verdicts.hurry(this.#engine.settings.lease)
    const ended = this.#looped.then(() => Promise.all(Array.from(this.#deliveries, ({ ended }) => ended)))
    if (grace === undefined) await ended
    else if (!await within(grace, ended)) await this.#giveBack()
    this.#lease.stop()
  }

  #listen (): () => void {
    const { onJobs, onCancel } = this.#engine
    const onQueue = (queue?: string): void => {
      if (queue === undefined || queue === this.#queue) this.#alarm.ring()
    }
    const cancel = (id: string): void => this.#lease.abort(id, new FST_ERR_BGT_CANCELLED(id))
    onJobs.add(onQueue)
    onCancel.add(cancel)
    return () => {
      onJobs.delete(onQueue)
      onCancel.delete(cancel)
    }
  }

  async #loop (): Promise<void> {
    const { batchSize = 100, pollingIntervalSeconds = 0.5 } = this.#engine.settings.workOptions
    await Promise.race([this.#engine.ready, this.#closing])
    while (!this.#isClosed) {
      const room = Math.min(this.#concurrency - this.#running, batchSize)
      if (room === 0) {
        await this.#alarm.sleep(MAX_TIMER)
        // A turn later, so that jobs that end together are replaced together.
        await new Promise(resolve => setImmediate(resolve))
        continue
      }
      const jobs = await this.#fetch(room)
      for (const job of jobs) this.#take(job)
      if (jobs.length < room) await this.#alarm.sleep(pollingIntervalSeconds * 1_000)
    }
  }

  async #fetch (room: number): Promise<Job[]> {
    const { boss, database: { soon }, journal, settings: { workOptions } } = this.#engine
    const { pollingIntervalSeconds, batchSize, ...fetchOptions } = workOptions
    try {
      return await boss.fetch(this.#queue, { ...fetchOptions, batchSize: room, includeMetadata: true, db: inOrder(soon) })
    } catch (error) {
      journal.trouble(error, 'jobs could not be fetched, and are asked for again')
      return []
    }
  }

  #take (job: Job): void {
    const delivery = new Delivery(this.#engine, this.#queue, job)
    this.#deliveries.add(delivery)
    void delivery.ended.then(() => this.#deliveries.delete(delivery))
    if (this.#isClosed) void this.#record(delivery, { state: 'given-back', begun: false })
    else void this.#deliver(delivery)
  }

  async #deliver (delivery: Delivery): Promise<void> {
    this.#lease.hold(delivery)
    this.#running++
    const verdict = await this.#run(delivery.job)
    // Only where there was no room there may be jobs that nobody has asked for.
    if (this.#running-- >= this.#concurrency) this.#alarm.ring()
    if (delivery.overAt !== undefined) return
    await this.#record(delivery, verdict)
    this.#wakeFor(verdict)
  }

  async #record (delivery: Delivery, verdict: Recorded): Promise<void> {
    delivery.overAt = Date.now()
    await this.#verdicts.record(delivery, verdict)
    this.#lease.drop(delivery)
    delivery.end()
  }

  /** The next poll would be late for a short delay. But whoever cannot run a job must not be the first to take it again. */
  #wakeFor (verdict: JobVerdict): void {
    if (this.#isClosed || verdict.state !== 'retrying' || verdict.delay > 60_000) return
    setTimeout(() => this.#alarm.ring(), verdict.delay).unref()
  }

  async #giveBack (): Promise<void> {
    const left = [...this.#deliveries]
    for (const delivery of left.filter(({ overAt }) => overAt === undefined)) {
      delivery.abort(unavailable('the worker has closed, and the job goes to another', true))
      void this.#record(delivery, { state: 'given-back', begun: true })
    }
    this.#verdicts.hurry(GIVE_BACK)
    await within(GIVE_BACK, Promise.all(left.map(({ ended }) => ended)))
  }
}
