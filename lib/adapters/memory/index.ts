import { Type } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import type { Cancellation, Capabilities, CloseOptions, Consumer, EnqueueContext, Health, Job, JobInfo, QueueAdapter, Receipt, RunJob, WorkOptions } from '../../../types/index.ts'
import { check, type Checker } from '../../check.ts'
import { FST_ERR_BGT_NO_CAPABILITY } from '../../errors.ts'
import { retentionDefaults, retentionSchema, type RetentionOptions } from '../kit/retention.ts'
import { MemoryConsumer } from './consumer.ts'
import { MemoryStore } from './store.ts'
import { unavailable } from './unavailable.ts'

export type { MemoryStore, RetentionOptions }

export interface MemoryOptions {
  /** `native` of another memory adapter, to use the same queue. Its limits then hold. Default: a store of its own. */
  store?: MemoryStore
  retention?: RetentionOptions
  /** Jobs that have not ended, 1 or more; those above are refused. Default 100,000. */
  maxPending?: number
  /** Jobs that have ended, 1 or more; the oldest are forgotten first. Default 10,000. */
  maxEnded?: number
}

const options: Checker = TypeCompiler.Compile(Type.Object({
  store: Type.Optional(Type.Unsafe<MemoryStore>(Type.Object({}))),
  retention: Type.Optional(retentionSchema),
  maxPending: Type.Optional(Type.Integer({ minimum: 1 })),
  maxEnded: Type.Optional(Type.Integer({ minimum: 1 }))
}, { additionalProperties: false }))

/**
 * A queue in this process, for tests and for reading. What it holds is lost with the process.
 *
 * @throws FST_ERR_BGT_INVALID_OPTIONS
 */
export function memory (given: MemoryOptions = {}): QueueAdapter<MemoryStore> {
  check(options, 'options', given)
  return new MemoryAdapter(given)
}

class MemoryAdapter implements QueueAdapter<MemoryStore> {
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
    batch: false
  }

  readonly native: MemoryStore
  readonly #ownsStore: boolean
  readonly #consumers = new Set<MemoryConsumer>()
  #state: 'not started' | 'started' | 'closed' = 'not started'

  constructor ({ store, retention, maxPending = 100_000, maxEnded = 10_000 }: MemoryOptions) {
    this.native = store ?? new MemoryStore({ retention: { ...retentionDefaults, ...retention }, maxPending, maxEnded })
    this.#ownsStore = store === undefined
  }

  async start (): Promise<void> {
    this.#state = 'started'
  }

  async enqueue (jobs: readonly Job[], { tx, signal }: EnqueueContext = {}): Promise<Receipt[]> {
    this.#assertOpen()
    signal?.throwIfAborted()
    if (tx !== undefined) throw new FST_ERR_BGT_NO_CAPABILITY('The option "tx"', 'transactional', this.name)
    return jobs.map(job => this.native.add(job))
  }

  async work (queue: string, run: RunJob, options: WorkOptions): Promise<Consumer> {
    this.#assertOpen()
    const consumer = new MemoryConsumer(this.native, queue, run, options)
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
      ok: this.#state === 'started',
      warnings: ['Jobs are lost when this process ends: use the adapter of a durable queue in production.']
    }
  }

  async close (options?: CloseOptions): Promise<void> {
    this.#state = 'closed'
    await Promise.all(Array.from(this.#consumers, consumer => consumer.close(options)))
    if (this.#ownsStore) this.native.close()
  }

  #assertOpen (): void {
    if (this.#state === 'started') return
    throw unavailable(this.#state === 'closed' ? 'it is closed' : 'it was not started', false)
  }
}
