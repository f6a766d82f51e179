import assert from 'node:assert/strict'
import type { Job, JobInfo, JobState, QueueAdapter, StartOptions } from '../../../../types/index.ts'
import type { ConformanceOptions, CreateOptions } from '../options.ts'
import { type Found, found, soon } from './event.ts'
import { Notes } from './notes.ts'
import { type Decide, Worker } from './worker.ts'

/** Jobs of one call of `enqueue`, at the most. */
const BATCH = 100

interface WorkSettings {
  queue?: string
  concurrency?: number
  /** Default: the test ends each delivery itself. */
  decide?: Decide
  /** ms on top of the timeout. */
  patience?: number
}

/** The stage of one test: queues of its own, adapters on the one store, workers; all closed at its end. */
export class Stage {
  readonly options: ConformanceOptions
  readonly timeout: number
  readonly queue: string = `conformance-${crypto.randomUUID()}`
  readonly otherQueue: string = `conformance-${crypto.randomUUID()}`
  readonly notes: Notes = new Notes()
  /** Started, and able to work. */
  adapter!: QueueAdapter
  /** Steps that undo things before the adapters close. */
  readonly undo: (() => Promise<unknown>)[] = []
  readonly #adapters: QueueAdapter[] = []
  readonly #workers: Worker[] = []

  constructor (options: ConformanceOptions) {
    this.options = options
    this.timeout = options.timeout ?? 10_000
  }

  async create (options: CreateOptions = {}): Promise<QueueAdapter> {
    const adapter = await this.options.create(options)
    this.#adapters.push(adapter)
    return adapter
  }

  async start (options?: CreateOptions): Promise<QueueAdapter> {
    const adapter = await this.create(options)
    await this.soon(adapter.start(this.startOptions), 'start')
    // A start does not wait for a server that has much to do. Whether its health is true, other tests tell.
    await this.found(async () => (await adapter.health()).ok, 'health').catch(() => {})
    return adapter
  }

  get startOptions (): StartOptions {
    return { queues: [this.queue, this.otherQueue], log: this.notes.log }
  }

  async work (adapter: QueueAdapter = this.adapter, settings: WorkSettings = {}): Promise<Worker> {
    const { queue = this.queue, concurrency = 1, decide, patience = 0 } = settings
    const worker = new Worker(this.timeout, decide)
    this.#workers.push(worker)
    worker.consumer = await soon(adapter.work(queue, worker.run, { concurrency }), this.timeout + patience, 'work')
    return worker
  }

  job (given: Partial<Job> = {}): Job {
    return {
      id: crypto.randomUUID(),
      queue: this.queue,
      task: 'conformance',
      data: { payload: { to: 'someone' }, version: 1, enqueuedAt: Date.now() },
      delay: 0,
      priority: 50,
      retry: { attempts: 3, delay: 10, backoff: 'fixed', maxDelay: 1_000, jitter: 0 },
      ...given
    }
  }

  jobs (count: number, given?: Partial<Job>): Job[] {
    return Array.from({ length: count }, () => this.job(given))
  }

  /** Stores the jobs, as many at once as the adapter takes, and throws unless each has a receipt without error. */
  async enqueue (jobs: readonly Job[], adapter: QueueAdapter = this.adapter): Promise<void> {
    for (const some of this.batches(jobs)) {
      const receipts = await this.soon(adapter.enqueue(some), 'enqueue')
      for (const { error } of receipts) if (error !== undefined) throw error
    }
  }

  /** The jobs in batches of the size that the adapter takes, and of `BATCH` at the most. */
  batches (jobs: readonly Job[]): Job[][] {
    const { batch } = this.adapter.capabilities
    const size = batch === false ? BATCH : Math.min(batch.max, BATCH)
    const count = Math.ceil(jobs.length / size)
    return Array.from({ length: count }, (_, index) => jobs.slice(index * size, (index + 1) * size))
  }

  /** Stores a job behind all others, and waits until a worker has it: all that was ready before has come by then. */
  async marker (worker: Worker, given?: Partial<Job>, adapter?: QueueAdapter): Promise<void> {
    const marker = this.job({ task: 'marker', priority: 1, ...given })
    await this.enqueue([marker], adapter)
    await this.found(() => worker.ids.includes(marker.id), 'delivery of the job behind all others', marker.delay)
  }

  async status (id: string, adapter: QueueAdapter = this.adapter): Promise<JobInfo | null> {
    return await this.soon(adapter.status!(id), 'status')
  }

  /** Waits for the state, and returns all that is known of the job by then. */
  async state (id: string, state: JobState, adapter?: QueueAdapter): Promise<JobInfo> {
    let latest: JobInfo | null = null
    try {
      return await this.found(async () => {
        latest = await this.status(id, adapter)
        return latest?.state === state && latest
      }, `state "${state}"`)
    } catch (cause) {
      throw new Error(`state "${state}" did not come, the latest was ${JSON.stringify(latest)}`, { cause })
    }
  }

  /** Waits for the end of a job that was cancelled, and throws if the worker was given it without being told so. */
  async stopped (id: string, worker: Worker, patience = 0): Promise<void> {
    const { info } = await this.found(async () => {
      const info = await this.status(id)
      return (info === null || info.endedAt !== undefined) && { info }
    }, 'end of the job that was cancelled', patience)
    const deliveries = worker.deliveries.filter(({ job }) => job.id === id)
    assert.ok(deliveries.every(({ aborted }) => aborted), 'where the next worker is given it, its signal is aborted')
    // Some engines remove what is cancelled.
    assert.ok([undefined, 'cancelled'].includes(info?.state), 'status: cancelled, or null')
  }

  async soon<T> (promise: Promise<T>, what: string): Promise<T> {
    return await soon(promise, this.timeout, what)
  }

  /** @param patience ms on top of the timeout, for a thing that has its own time. */
  async found<T> (probe: () => Promise<Found<T>> | Found<T>, what: string, patience = 0): Promise<T> {
    return await found(probe, this.timeout + patience, what)
  }

  async close (): Promise<void> {
    for (const worker of this.#workers) worker.release()
    for (const step of this.undo) await this.soon(step(), 'clean up')
    await this.soon(Promise.all(this.#adapters.map(adapter => adapter.close({ grace: this.timeout / 2 }))), 'close')
  }
}
