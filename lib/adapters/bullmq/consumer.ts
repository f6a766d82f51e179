import type { Job, Worker } from 'bullmq'
import type { CloseOptions, Consumer, JobVerdict, RunJob, WorkOptions } from '../../../types/index.ts'
import { within } from '../../time.ts'
import { endInTime } from '../kit/closing.ts'
import type { Delivery } from '../kit/delivery.ts'
import { BullmqDelivery, giveBack } from './delivery.ts'
import type { Engine } from './engine.ts'
import { stalledReason } from './failure.ts'
import { record } from './verdicts.ts'
import { readingWorker } from './worker.ts'
import { WorkerClient } from './worker-client.ts'

/** ms that closing waits for Redis to record what has ended. */
const LAST_CALL = 1_000

/** Bells that are kept, of jobs that are on their way here, or that other workers have. */
const MAX_BELLS = 1_000

/** Runs the jobs of one queue, by a Worker of BullMQ. */
export class BullmqConsumer implements Consumer {
  readonly worker: Worker
  readonly #engine: Engine
  readonly #client: WorkerClient
  readonly #run: RunJob
  readonly #deliveries = new Map<string, BullmqDelivery>()
  /** Ids of jobs that were not here when their bell rang. */
  readonly #bells = new Set<string>()
  readonly #rounds: NodeJS.Timeout
  #onIdle: (() => void) | undefined = undefined
  #closed: Promise<void> | undefined = undefined

  constructor (engine: Engine, queue: string, run: RunJob, { concurrency }: WorkOptions) {
    const { bullmq, workerClient, options: { lease, maxStalled, retention, workerOptions, prefix } } = engine
    this.#engine = engine
    this.#client = new WorkerClient(bullmq, workerClient, engine)
    this.#run = run
    this.worker = new (readingWorker(bullmq))(queue, (job, token) => this.#process(job, token!), {
      runRetryDelay: 1_000,
      lockDuration: lease,
      stalledInterval: lease / 4,
      // BullMQ counts what may be exceeded.
      maxStalledCount: maxStalled - 1,
      removeOnComplete: { age: retention.completed / 1_000 },
      removeOnFail: { age: retention.failed / 1_000 },
      ...workerOptions,
      // BullMQ renews by the time of day: set back, it would renew no lock until the clock has caught up.
      skipLockRenewal: true,
      prefix,
      concurrency,
      connection: this.#client.client
    })
    this.#listen()
    engine.onBell.add(this.#hear)
    engine.hearBells()
    this.#rounds = setInterval(() => { this.#goRound() }, this.worker.opts.lockDuration! / 4)
  }

  get queue (): string {
    return this.worker.name
  }

  close (options: CloseOptions = {}): Promise<void> {
    return (this.#closed ??= this.#close(options))
  }

  #listen (): void {
    const { queue } = this
    const { log, report } = this.#engine
    this.worker.on('error', err => { if (this.#closed === undefined) report(err) })
    this.worker.on('stalled', taskId => {
      log.warn('a job is delivered again, as its worker has died, or lost it', { queue, taskId })
    })
    this.worker.on('failed', (job, { message }) => {
      if (job === undefined || message !== stalledReason) return
      log.givenUp({ queue, task: job.name, taskId: job.id! }, job.stalledCounter)
    })
  }

  readonly #hear = (queue: string, id: string): void => {
    if (queue !== this.queue) return
    if (this.#deliveries.has(id)) {
      void this.#look([id])
      return
    }
    this.#bells.add(id)
    if (this.#bells.size > MAX_BELLS) this.#bells.delete(this.#bells.values().next().value!)
  }

  #goRound (): void {
    const ids = [...this.#deliveries.keys()]
    if (ids.length === 0) return
    this.#renew(ids).catch(this.#engine.report)
    // A bell may not have been heard.
    void this.#look(ids)
  }

  async #renew (ids: string[]): Promise<void> {
    const { worker } = this
    const deliveries = ids.map(id => this.#deliveries.get(id)!)
    const lost = await worker.extendJobLocks(ids, deliveries.map(({ token }) => token), worker.opts.lockDuration!)
    for (const id of lost) deliveries[ids.indexOf(id)]!.job.abort('lost')
  }

  /** Aborts those that are to be cancelled, as the store says. */
  async #look (ids: string[]): Promise<void> {
    // Without an answer the next look has to do: that Redis is away is told by its connection.
    const wished = await this.#engine.wished(this.queue, ids).catch(() => [])
    for (const id of wished) this.#deliveries.get(id)?.job.abort('cancelled')
  }

  /** `worker.close()` has no deadline, and no `close(true)` can follow it. So this waits, and then closes by force. */
  async #close ({ grace }: CloseOptions): Promise<void> {
    const paused = this.worker.pause().catch(() => {})
    const idle = new Promise<void>(resolve => { this.#onIdle = resolve })
    if (this.#deliveries.size === 0) this.#onIdle!()
    const inTime = await endInTime(idle, grace) && await within(LAST_CALL, paused)
    if (!inTime) await within(LAST_CALL, this.#giveBack())
    await within(LAST_CALL, this.worker.close(true))
    clearInterval(this.#rounds)
    this.#engine.onBell.delete(this.#hear)
    this.#client.close()
  }

  async #process (taken: Job, token: string): Promise<unknown> {
    const { bullmq } = this.#engine
    const running = this.#deliveries.get(taken.id!)
    // It was on its way when the worker was told to stop.
    if (this.#closed !== undefined && running === undefined) {
      await giveBack(taken)
      throw new bullmq.WaitingError()
    }
    running?.adopt(taken)
    const delivery = running ?? this.#begin(taken)
    const verdict = await delivery.verdictFor(taken)
    if (verdict === undefined) throw new bullmq.WaitingError()
    return record(taken, token, verdict, bullmq)
  }

  #begin (taken: Job): BullmqDelivery {
    // A wish is stored once a job has been taken: the first worker to have it needs no look without a bell.
    const mayBeWished = this.#bells.delete(taken.id!) || taken.attemptsStarted > 1
    const delivery = new BullmqDelivery(this.queue, taken, job => this.#perform(job, mayBeWished))
    this.#deliveries.set(taken.id!, delivery)
    return delivery
  }

  async #perform (job: Delivery, mayBeWished: boolean): Promise<JobVerdict> {
    try {
      // First comes the delivery, which the look finds.
      await Promise.resolve()
      if (mayBeWished) await this.#look([job.id])
      return await this.#run(job)
    } finally {
      this.#deliveries.delete(job.id)
      if (this.#deliveries.size === 0) this.#onIdle?.()
    }
  }

  async #giveBack (): Promise<void> {
    const left = [...this.#deliveries.values()]
    for (const { job } of left) job.abort('closed')
    await Promise.all(left.map(delivery => delivery.giveBack().catch(this.#engine.report)))
  }
}
