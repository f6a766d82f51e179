import type { Queue, Worker } from 'bullmq'
import type { Redis } from 'ioredis'
import type { Cancellation, Capabilities, CloseOptions, Consumer, EnqueueContext, Health, Job, JobInfo, QueueAdapter, Receipt, RunJob, Schedule, StartOptions, WorkOptions } from '../../../types/index.ts'
import { FST_ERR_BGT_CANCELLED, FST_ERR_BGT_INVALID_OPTIONS, FST_ERR_BGT_NO_CAPABILITY } from '../../errors.ts'
import { importPeer } from '../kit/peer.ts'
import { BullConsumer } from './consumer.ts'
import { Server } from './engine.ts'
import { enqueueMany, enqueueOne } from './enqueue.ts'
import { healthOf } from './health.ts'
import type { ResolvedBullmqOptions } from './options.ts'
import { toCancelledResult } from './result.ts'
import { toJobInfo } from './status.ts'
import { asUnavailable, unavailable } from './unavailable.ts'

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
    batch: false
  }

  readonly native: BullmqNative
  readonly #options: ResolvedBullmqOptions
  readonly #consumers = new Map<string, Set<BullConsumer>>()
  readonly #names = new Set<string>()
  #server: Server | undefined = undefined
  #closed: Promise<void> | undefined = undefined

  constructor (options: ResolvedBullmqOptions) {
    this.#options = options
    const server = (): Server => this.#open
    this.native = {
      get client () { return server().connection.client },
      queue: async name => server().nativeQueues.open(name),
      worker: name => [...this.#consumers.get(name) ?? []].at(-1)?.worker
    }
  }

  async start ({ queues, log }: StartOptions): Promise<void> {
    for (const name of queues) {
      if (name === '' || name.includes(':')) throw new FST_ERR_BGT_INVALID_OPTIONS('queue', `BullMQ takes no empty names and none with ":", got "${name}"`)
      this.#names.add(name)
    }
    const bullmq = await importPeer('bullmq', 'bullmq', () => import('bullmq'))
    const { Redis } = await importPeer('bullmq', 'ioredis', () => import('ioredis'))
    this.#server = new Server(bullmq, Redis, this.#options, log)
    await this.#server.connection.tried()
  }

  async enqueue (jobs: readonly Job[], context: EnqueueContext = {}): Promise<Receipt[]> {
    const { queues } = this.#open
    if (context.tx !== undefined) throw new FST_ERR_BGT_NO_CAPABILITY('The option "tx"', 'transactional', this.name)
    for (const { queue } of jobs) this.#names.add(queue)
    return jobs.length === 1 ? [await enqueueOne(queues, jobs[0]!)] : enqueueMany(queues, jobs, context)
  }

  async work (queue: string, run: RunJob, { concurrency }: WorkOptions): Promise<Consumer> {
    const server = this.#open
    const { lease, maxStalled, retention, workerOptions, prefix } = this.#options
    const options = {
      runRetryDelay: 1_000,
      lockDuration: lease,
      stalledInterval: lease / 4,
      // BullMQ counts what may be exceeded.
      maxStalledCount: maxStalled - 1,
      removeOnComplete: { age: retention.completed / 1_000 },
      removeOnFail: { age: retention.failed / 1_000 },
      ...workerOptions,
      prefix,
      concurrency
    }
    const consumer = new BullConsumer(server, queue, run, options)
    const consumers = this.#consumers.get(queue) ?? new Set()
    this.#consumers.set(queue, consumers.add(consumer))
    server.hearCancelled((name, id) => this.#consumers.get(name)?.forEach(consumer => consumer.cancel(id)))
    return Promise.resolve({
      close: async options => {
        await consumer.close(options)
        consumers.delete(consumer)
      }
    })
  }

  async status (id: string): Promise<JobInfo | null> {
    const { connection, inspect } = this.#open
    try {
      await connection.ready()
      const found = await Promise.all(Array.from(this.#names, async name => toJobInfo(id, name, await inspect(name, id))))
      return found.find(info => info !== null) ?? null
    } catch (error) {
      throw asUnavailable(error)
    }
  }

  async cancel (id: string): Promise<Cancellation> {
    const { cancel } = this.#open
    try {
      const info = await this.status(id)
      if (info === null) return 'not-found'
      const result = toCancelledResult(new FST_ERR_BGT_CANCELLED(info.task))
      return await cancel(info.queue!, id, JSON.stringify(result))
    } catch (error) {
      throw asUnavailable(error)
    }
  }

  async schedule ({ name, cron, timezone = 'UTC', queue, task, data, priority, retry }: Schedule): Promise<void> {
    this.#names.add(queue)
    const { queues } = this.#open
    const opened = await queues.open(queue)
    const opts = { priority: 101 - priority, attempts: retry.attempts }
    await opened.upsertJobScheduler(name, { pattern: cron, tz: timezone }, { name: task, data, opts })
    await this.#unschedule(name, queue)
  }

  async unschedule (name: string): Promise<boolean> {
    return this.#unschedule(name)
  }

  async health (): Promise<Health> {
    if (this.#server === undefined || this.#closed !== undefined) return { ok: false, warnings: [], error: this.#problem }
    return healthOf(this.#server.connection)
  }

  close (options?: CloseOptions): Promise<void> {
    return (this.#closed ??= this.#close(options))
  }

  async #close (options?: CloseOptions): Promise<void> {
    const consumers = [...this.#consumers.values()].flatMap(set => [...set])
    await Promise.all(consumers.map(consumer => consumer.close(options)))
    await this.#server?.close()
  }

  async #unschedule (name: string, except?: string): Promise<boolean> {
    const { queues } = this.#open
    const others = [...this.#names].filter(queue => queue !== except)
    const removed = await Promise.all(others.map(async queue => (await queues.open(queue)).removeJobScheduler(name)))
    return removed.includes(true)
  }

  get #problem (): string {
    return this.#closed === undefined ? 'it was not started' : 'it is closed'
  }

  get #open (): Server {
    if (this.#server === undefined || this.#closed !== undefined) throw unavailable(this.#problem, false)
    return this.#server
  }
}
