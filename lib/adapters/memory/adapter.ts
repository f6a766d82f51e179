import type {
  Cancellation, Capabilities, CloseOptions, Consumer, EnqueueContext, Health, Job, JobInfo, QueueAdapter, Receipt,
  RunJob, WorkOptions
} from '../../../types/index.ts'
import { FST_ERR_BGT_NO_CAPABILITY } from '../../errors.ts'
import { closeAll } from '../kit/closing.ts'
import { Opened } from '../kit/opened.ts'
import { MemoryConsumer } from './consumer.ts'
import { MemoryStore, unavailable } from './engine.ts'
import type { ResolvedOptions } from './options.ts'

export class MemoryAdapter implements QueueAdapter<MemoryStore> {
  readonly name = 'memory'
  readonly capabilities: Capabilities = {
    delay: true,
    priority: true,
    dedupe: true,
    retry: true,
    result: true,
    cancelPending: true,
    transactional: false,
    durable: false,
    schedule: 'none',
    missedOnce: false,
    batch: false
  }

  readonly native: MemoryStore
  readonly #ownsStore: boolean
  readonly #opened = new Opened<MemoryStore>(unavailable)
  readonly #consumers = new Set<MemoryConsumer>()

  constructor (options: ResolvedOptions) {
    this.native = options.store ?? new MemoryStore(options)
    this.#ownsStore = options.store === undefined
  }

  async start (): Promise<void> {
    this.#opened.start(this.native)
  }

  async enqueue (jobs: readonly Job[], { tx, signal }: EnqueueContext = {}): Promise<Receipt[]> {
    const store = this.#opened.engine
    signal?.throwIfAborted()
    if (tx !== undefined) throw new FST_ERR_BGT_NO_CAPABILITY('The option "tx"', 'transactional', this.name)
    return jobs.map(job => store.add(job))
  }

  async work (queue: string, run: RunJob, options: WorkOptions): Promise<Consumer> {
    const consumer = new MemoryConsumer(this.#opened.engineForWork, queue, run, options)
    this.#consumers.add(consumer)
    return consumer
  }

  async status (id: string): Promise<JobInfo | null> {
    const job = this.native.find(id)
    return job === undefined ? null : structuredClone(job.info)
  }

  async cancel (id: string): Promise<Cancellation> {
    return this.native.cancel(id)
  }

  async health (): Promise<Health> {
    return {
      ok: this.#opened.current !== undefined,
      warnings: ['Jobs are lost when this process ends: use the adapter of a durable queue in production.']
    }
  }

  async close (options?: CloseOptions): Promise<void> {
    this.#opened.close()
    await closeAll(this.#consumers, options)
    if (this.#ownsStore) this.native.close()
  }
}
