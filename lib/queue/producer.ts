import { setImmediate } from 'node:timers/promises'
import { Type } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import type { Capabilities, Enqueued, EnqueueOptions, Job, QueueAdapter, Receipt, Task } from '../../types/index.ts'
import { check, type Checker, ms } from '../check.ts'
import { FST_ERR_BGT_INVALID_PAYLOAD } from '../errors.ts'
import { requireCapability } from '../task/capability.ts'
import { priority } from '../task/define.ts'
import type { DefinedSettings, Registry } from '../task/registry.ts'
import { owner } from '../task/settings.ts'
import { asUnavailable, unavailableOf } from '../unavailable.ts'
import { GroupCommit } from './group-commit.ts'
import type { Jobs, Origin } from './jobs.ts'
import { Shipment } from './shipment.ts'

/** Jobs of a bulk that go in one call, where the engine has no limit of its own. */
const CHUNK = 1_000

/** Jobs that wait for the queue's answer, before others are refused. */
const MAX_WAITING = 10_000

/** Bytes of their payloads, as JSON. */
const MAX_WAITING_BYTES = 64 * 2 ** 20

const YEAR = 365 * 86_400_000

const jobOptions = {
  delay: ms(YEAR),
  priority,
  owner,
  tx: Type.Optional(Type.Unknown())
}
const strict = { additionalProperties: false }
const part = Type.String({ minLength: 1, maxLength: 512 })
const key = Type.Optional(Type.Union([part, Type.Array(part, { minItems: 1, maxItems: 8 })], {
  expected: 'Expected 1 to 512 characters, or an array of 1 to 8 such'
}))

const ofOne: Checker = TypeCompiler.Compile(Type.Object({ ...jobOptions, key }, strict))
const ofMany: Checker = TypeCompiler.Compile(Type.Object(jobOptions, strict))

/** The capabilities that options of `enqueue` need. */
const needs: Record<Exclude<keyof EnqueueOptions, 'owner'>, keyof Capabilities> =
  { delay: 'delay', priority: 'priority', key: 'dedupe', tx: 'transactional' }

/** Stores tasks as jobs. */
export class Producer {
  readonly jobs: Jobs
  readonly #adapter: QueueAdapter
  readonly #registry: Registry
  readonly #timeout: number
  readonly #groupCommit: GroupCommit
  /** Of calls whose answer is awaited. */
  #waitingJobs = 0
  #waitingBytes = 0
  enqueued = 0

  /** @param timeout ms from the call on, after which nothing is sent any more, nor waited for. */
  constructor (adapter: QueueAdapter, jobs: Jobs, registry: Registry, timeout: number) {
    this.jobs = jobs
    this.#adapter = adapter
    this.#registry = registry
    this.#timeout = timeout
    this.#groupCommit = new GroupCommit(adapter)
  }

  async enqueue (task: Task, payload: unknown, options: EnqueueOptions, origin: Origin): Promise<Enqueued> {
    const settings = this.#check(task, options, ofOne)
    task.parse(payload)
    const size = this.jobs.check(task, payload)
    const job = this.jobs.make(settings, payload, origin, options)
    this.#admit(job)
    this.#wait(1, size)
    try {
      return this.#count(await this.send(job, options.tx), options.key)
    } finally {
      this.#wait(-1, -size)
    }
  }

  async enqueueMany (
    task: Task, payloads: readonly unknown[], options: EnqueueOptions, origin: Origin
  ): Promise<Enqueued[]> {
    const settings = this.#check(task, options, ofMany)
    if (!Array.isArray(payloads)) {
      throw new FST_ERR_BGT_INVALID_PAYLOAD(task.name, 'enqueueMany expects an array of payloads')
    }
    const jobs: Job[] = []
    let size = 0
    for (const payload of Array.from<unknown>(payloads)) {
      // Checking many at once would block the event loop, of which each chunk gets a turn.
      if (jobs.length > 0 && jobs.length % CHUNK === 0) await setImmediate()
      task.parse(payload)
      size += this.jobs.check(task, payload)
      jobs.push(this.jobs.make(settings, payload, origin, options))
    }
    const [first] = jobs
    if (first === undefined) return []
    this.#admit(first, { enqueued: [] })
    this.#wait(jobs.length, size)
    try {
      return await this.#storeAll(jobs, options.tx)
    } finally {
      this.#wait(-jobs.length, -size)
    }
  }

  /** Stores a job that has been checked. */
  async send (job: Job, tx?: unknown): Promise<Receipt> {
    const shipment = new Shipment([job], this.#timeout, tx)
    if (tx === undefined) this.#groupCommit.send(shipment)
    else this.#groupCommit.sendAlone(shipment)
    try {
      const [receipt] = await shipment.receipts
      if (receipt!.error !== undefined) throw receipt!.error
      return receipt!
    } catch (error) {
      throw this.#unavailable(shipment, job, error)
    }
  }

  async #storeAll (jobs: readonly Job[], tx: unknown): Promise<Enqueued[]> {
    const { batch } = this.#adapter.capabilities
    const size = batch === false ? CHUNK : batch.max
    const enqueued: Enqueued[] = []
    for (let start = 0; start < jobs.length; start += size) {
      await this.#storeChunk(jobs.slice(start, start + size), tx, enqueued)
    }
    return enqueued
  }

  /**
   * A queue that stands still must not make this process grow without end. Tasks that escalate are not asked: they
   * are here already, and would be lost.
   *
   * @throws FST_ERR_BGT_QUEUE_UNAVAILABLE
   */
  #admit ({ id }: Job, details: object = {}): void {
    if (this.#waitingJobs < MAX_WAITING && this.#waitingBytes < MAX_WAITING_BYTES) return
    const problem = `${this.#waitingJobs} jobs of this process wait for it`
    throw Object.assign(unavailableOf(this.#adapter.name)(problem, false), { id, ...details })
  }

  #wait (jobs: number, bytes: number): void {
    this.#waitingJobs += jobs
    this.#waitingBytes += bytes
  }

  /** Adds the jobs that are stored to `enqueued`, which an error then has as a property. */
  async #storeChunk (chunk: readonly Job[], tx: unknown, enqueued: Enqueued[]): Promise<void> {
    const shipment = new Shipment(chunk, this.#timeout, tx)
    this.#groupCommit.sendAlone(shipment)
    let refused = 0
    try {
      const receipts = await shipment.receipts
      for (const receipt of receipts) if (receipt.error === undefined) enqueued.push(this.#count(receipt))
      refused = receipts.findIndex(({ error }) => error !== undefined)
      if (refused !== -1) throw receipts[refused]!.error!
    } catch (error) {
      throw this.#unavailable(shipment, chunk[refused]!, error, { enqueued })
    }
  }

  /** An id without a key is new. If the queue knows it all the same, the answer to an earlier call was lost. */
  #count ({ id, deduplicated: isKnown = false }: Receipt, key?: EnqueueOptions['key']): Enqueued {
    const deduplicated = isKnown && key !== undefined
    if (!deduplicated) this.enqueued++
    return { id, deduplicated }
  }

  #unavailable ({ ambiguous }: Shipment, { id }: Job, cause: unknown, details: object = {}): Error {
    return asUnavailable(this.#adapter.name, cause, { ambiguous, id, ...details })
  }

  #check (task: Task, options: EnqueueOptions, checker: Checker): DefinedSettings {
    const settings = this.#registry.settingsOf(task)
    check(checker, 'options', options)
    const what = `Task "${task.name}"`
    for (const [option, capability] of Object.entries(needs)) {
      if (options[option as keyof EnqueueOptions] !== undefined) requireCapability(this.#adapter, capability, what)
    }
    if (settings.retry !== undefined) requireCapability(this.#adapter, 'retry', what)
    return settings
  }
}
