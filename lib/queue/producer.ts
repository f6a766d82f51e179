import type { Enqueued, EnqueueOptions, Job, QueueAdapter, Receipt, Task } from '../../types/index.ts'
import { FST_ERR_BGT_INVALID_PAYLOAD } from '../errors.ts'
import { checkJson } from '../json.ts'
import { checkOptions, type ResolvedOptions } from '../options.ts'
import { type Registered, type Registry, requireCapability, settingsOf } from '../task/task.ts'
import { withDeadline } from '../time.ts'
import { asUnavailable } from '../unavailable.ts'
import { Batches, Shipment, store } from './group-commit.ts'
import { jobId, makeData, makeJob, type Origin } from './job.ts'

/** Jobs of a bulk that go in one call, where the engine has no limit of its own. */
const CHUNK = 1_000

/** Makes jobs of tasks and payloads, and stores them. */
export class Producer {
  readonly #adapter: QueueAdapter
  readonly #registry: Registry
  readonly #options: ResolvedOptions
  readonly #batches: Batches
  enqueued = 0

  constructor (adapter: QueueAdapter, registry: Registry, options: ResolvedOptions) {
    this.#adapter = adapter
    this.#registry = registry
    this.#options = options
    this.#batches = new Batches(adapter, options.enqueueTimeout)
  }

  async enqueue (task: Task, payload: unknown, options: EnqueueOptions, origin: Origin): Promise<Enqueued> {
    const registered = this.#check('enqueue', task, options)
    this.#checkPayload(task, payload)
    const data = makeData(task, payload, origin, this.#options.trace, options.delay)
    const job = makeJob(jobId(task, options.key), registered, data, options)
    return this.#count(await this.send(job, options.tx), options.key)
  }

  async enqueueMany (task: Task, payloads: readonly unknown[], options: EnqueueOptions, origin: Origin): Promise<Enqueued[]> {
    const registered = this.#check('enqueueMany', task, options)
    if (!Array.isArray(payloads)) throw new FST_ERR_BGT_INVALID_PAYLOAD(task.name, 'enqueueMany expects an array of payloads')
    for (const payload of payloads) this.#checkPayload(task, payload)
    const shipments = payloads.map(payload => {
      const data = makeData(task, payload, origin, this.#options.trace, options.delay)
      return new Shipment(makeJob(jobId(task, undefined), registered, data, options))
    })
    const { batch } = this.#adapter.capabilities
    const size = batch === false ? CHUNK : batch.max
    const enqueued: Enqueued[] = []
    for (let start = 0; start < shipments.length; start += size) {
      const chunk = shipments.slice(start, start + size)
      try {
        const receipts = await store(chunk, jobs => this.#call(jobs, options.tx))
        enqueued.push(...receipts.filter(({ error }) => error === undefined).map(receipt => this.#count(receipt)))
        for (const [index, receipt] of receipts.entries()) throwRefusal(chunk[index]!, receipt)
      } catch (error) {
        throw this.#unavailable(chunk.find(({ refused }) => refused) ?? chunk[0]!, error, { enqueued })
      }
    }
    return enqueued
  }

  /** Stores a job that has been checked. */
  async send (job: Job, tx?: unknown): Promise<Receipt> {
    const shipment = new Shipment(job)
    try {
      // What belongs to a transaction must not wait for what does not.
      const receipt = tx === undefined
        ? await this.#batches.add(shipment)
        : (await store([shipment], jobs => this.#call(jobs, tx)))[0]!
      throwRefusal(shipment, receipt)
      return receipt
    } catch (error) {
      throw this.#unavailable(shipment, error)
    }
  }

  #call (jobs: readonly Job[], tx?: unknown): Promise<Receipt[]> {
    return withDeadline(this.#options.enqueueTimeout, signal =>
      this.#adapter.enqueue(jobs, { signal, ...(tx !== undefined && { tx }) }))
  }

  /** An id without a key is new: where the queue knows it, it is from a call whose answer was lost. */
  #count ({ id, deduplicated: isKnown = false }: Receipt, key?: string): Enqueued {
    const deduplicated = isKnown && key !== undefined
    if (!deduplicated) this.enqueued++
    return { id, deduplicated }
  }

  #unavailable ({ ambiguous, job }: Shipment, cause: unknown, details: object = {}): Error {
    return asUnavailable(this.#adapter.name, cause, { ambiguous, id: job.id, ...details })
  }

  #check (kind: 'enqueue' | 'enqueueMany', task: Task, options: EnqueueOptions): Registered {
    const settings = settingsOf(this.#registry, task)
    checkOptions(kind, 'options', options)
    const what = `Task "${task.name}"`
    if (options.delay !== undefined) requireCapability(this.#adapter, 'delay', what)
    if (options.priority !== undefined) requireCapability(this.#adapter, 'priority', what)
    if (options.key !== undefined) requireCapability(this.#adapter, 'dedupe', what)
    if (options.tx !== undefined) requireCapability(this.#adapter, 'transactional', what)
    if (settings.retry !== undefined) requireCapability(this.#adapter, 'retry', what)
    return { task, settings }
  }

  #checkPayload (task: Task, payload: unknown): void {
    task.parse(payload)
    checkJson(task.name, payload, this.#options.maxPayload)
  }
}

function throwRefusal (shipment: Shipment, { error }: Receipt): void {
  if (error === undefined) return
  shipment.refused = true
  throw error
}
