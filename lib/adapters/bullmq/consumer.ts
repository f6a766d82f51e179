import type { Job, Worker } from 'bullmq'
import type { CloseOptions, Consumer, RunJob, WorkOptions } from '../../../types/index.ts'
import { within } from '../../time.ts'
import { endInTime } from '../kit/closing.ts'
import { BullmqDelivery } from './delivery.ts'
import type { Engine } from './engine.ts'
import { stalledReason } from './failure.ts'
import { record } from './verdicts.ts'
import { WorkerClient } from './worker-client.ts'

/** ms that closing waits for Redis to record what has ended. */
const LAST_CALL = 1_000

/** Runs the jobs of one queue, by a Worker of BullMQ. */
export class BullmqConsumer implements Consumer {
  readonly worker: Worker
  readonly #engine: Engine
  readonly #client: WorkerClient
  readonly #run: RunJob
  readonly #deliveries = new Map<string, BullmqDelivery>()
  #onIdle: (() => void) | undefined = undefined
  #closed: Promise<void> | undefined = undefined

  constructor (engine: Engine, queue: string, run: RunJob, { concurrency }: WorkOptions) {
    const { bullmq, workerClient, options: { lease, maxStalled, retention, workerOptions, prefix } } = engine
    this.#engine = engine
    this.#client = new WorkerClient(bullmq, workerClient, engine)
    this.#run = run
    this.worker = new bullmq.Worker(queue, (job, token) => this.#process(job, token!), {
      runRetryDelay: 1_000,
      lockDuration: lease,
      stalledInterval: lease / 4,
      // BullMQ counts what may be exceeded.
      maxStalledCount: maxStalled - 1,
      removeOnComplete: { age: retention.completed / 1_000 },
      removeOnFail: { age: retention.failed / 1_000 },
      ...workerOptions,
      prefix,
      concurrency,
      connection: this.#client.client
    })
    this.#listen()
    engine.onCancelled.add(this.#cancel)
    engine.hearCancelled()
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
    this.worker.on('lockRenewalFailed', ids => {
      for (const id of ids) this.#deliveries.get(id)?.job.abort('lost')
    })
  }

  readonly #cancel = (queue: string, id: string): void => {
    if (queue === this.queue) this.#deliveries.get(id)?.job.abort('cancelled')
  }

  /** `worker.close()` has no deadline, and no `close(true)` can follow it. So this waits, and then closes by force. */
  async #close ({ grace }: CloseOptions): Promise<void> {
    const paused = this.worker.pause().catch(() => {})
    const idle = new Promise<void>(resolve => { this.#onIdle = resolve })
    if (this.#deliveries.size === 0) this.#onIdle!()
    const inTime = await endInTime(idle, grace) && await within(LAST_CALL, paused)
    if (!inTime) await within(LAST_CALL, this.#giveBack())
    await within(LAST_CALL, this.worker.close(true))
    this.#engine.onCancelled.delete(this.#cancel)
    this.#client.close()
  }

  async #process (taken: Job, token: string): Promise<unknown> {
    const { bullmq } = this.#engine
    const delivery = new BullmqDelivery(this.queue, taken)
    // It was on its way when the worker was told to stop.
    if (this.#closed !== undefined) {
      await delivery.giveBack()
      throw new bullmq.WaitingError()
    }
    const { job } = delivery
    this.#deliveries.set(job.id, delivery)
    const verdict = await this.#run(job)
    this.#deliveries.delete(job.id)
    if (this.#deliveries.size === 0) this.#onIdle?.()
    return record(taken, token, verdict, bullmq)
  }

  async #giveBack (): Promise<void> {
    const left = [...this.#deliveries.values()]
    for (const { job } of left) job.abort('closed')
    await Promise.all(left.map(delivery => delivery.giveBack().catch(this.#engine.report)))
  }
}
