import { AsyncResource } from 'node:async_hooks'
import type { QueueAdapter } from '../../types/index.ts'
import { Call, type Shipment } from './shipment.ts'

/**
 * Sends shipments. While some are being stored, others that come wait, and are then stored together, in an async
 * context that is nobody's. A shipment that comes alone is sent at once, in its caller's.
 */
export class GroupCommit {
  readonly #adapter: QueueAdapter
  readonly #max: number
  readonly #maxInFlight: number
  readonly #context = new AsyncResource('BackgroundTaskBatches', { requireManualDestroy: true })
  #waiting: Shipment[] = []
  #inFlight = 0

  constructor (adapter: QueueAdapter) {
    const { batch } = adapter.capabilities
    this.#adapter = adapter
    this.#max = batch === false ? 1 : batch.max
    this.#maxInFlight = batch === false ? Infinity : batch.inFlight
  }

  /** Sends a shipment of one job, together with others where there are any. */
  send (shipment: Shipment): void {
    if (this.#inFlight < this.#maxInFlight) this.#start([shipment])
    else this.#waiting.push(shipment)
  }

  /** Sends a shipment by itself: it has many jobs, or belongs to a transaction, which must not wait for others. */
  sendAlone (shipment: Shipment): void {
    void this.#store([shipment])
  }

  #next (): void {
    while (this.#inFlight < this.#maxInFlight && this.#waiting.length > 0) {
      const group = this.#waiting.splice(0, this.#max).filter(({ isOver }) => !isOver)
      if (group.length > 0) this.#start(group)
    }
  }

  #start (group: readonly Shipment[]): void {
    this.#inFlight++
    void this.#store(group).then(() => {
      this.#inFlight--
      this.#context.runInAsyncScope(() => this.#next())
    })
  }

  /** Never rejects. */
  async #store (group: readonly Shipment[]): Promise<void> {
    try {
      await new Call(group).store(this.#adapter)
    } catch (error) {
      const [first, ...others] = group
      if (others.length === 0) return first!.fail(error)
      // One bad job must not cost the others. The queue knows jobs that are stored already by their ids.
      await Promise.all(group.filter(({ isOver }) => !isOver).map(shipment => this.#store([shipment])))
    }
  }
}
