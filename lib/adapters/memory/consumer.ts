// Taken here, so that a test's fake timers hold up delays but never the delivery of a job.
import { setImmediate } from 'node:timers'
import type { CloseOptions, Consumer, RunJob, WorkOptions } from '../../../types/index.ts'
import { endInTime } from '../kit/closing.ts'
import type { Delivery } from '../kit/delivery.ts'
import type { MemoryStore, Waiter } from './engine.ts'

/** Takes the jobs of one queue from the store, as many at once as it may. */
export class MemoryConsumer implements Consumer, Waiter {
  readonly #store: MemoryStore
  readonly #queue: string
  readonly #run: RunJob
  readonly #concurrency: number
  /** Each with a promise of its end. */
  readonly #deliveries = new Map<Delivery, Promise<void>>()
  #awake = false
  #closed = false

  constructor (store: MemoryStore, queue: string, run: RunJob, { concurrency }: WorkOptions) {
    this.#store = store
    this.#queue = queue
    this.#run = run
    this.#concurrency = concurrency
    store.waiters.add(this)
    this.wake()
  }

  /** A turn later, so that jobs stored in the same turn are taken by priority. */
  wake (): void {
    if (this.#awake) return
    this.#awake = true
    setImmediate(() => this.#fill())
  }

  async close ({ grace }: CloseOptions = {}): Promise<void> {
    this.#closed = true
    this.#store.waiters.delete(this)
    if (!await endInTime(Promise.all(this.#deliveries.values()), grace)) this.#giveBack()
  }

  #fill (): void {
    this.#awake = false
    while (!this.#closed && this.#deliveries.size < this.#concurrency) {
      const delivery = this.#store.take(this.#queue)
      if (delivery === undefined) return
      this.#deliveries.set(delivery, this.#deliver(delivery))
    }
  }

  async #deliver (delivery: Delivery): Promise<void> {
    const verdict = await this.#run(delivery)
    this.#store.settle(delivery, verdict)
    this.#deliveries.delete(delivery)
    this.wake()
  }

  #giveBack (): void {
    for (const delivery of this.#deliveries.keys()) {
      this.#store.takeBack(delivery)
      delivery.abort('closed')
    }
    this.#deliveries.clear()
  }
}
