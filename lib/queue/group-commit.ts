import { AsyncResource } from 'node:async_hooks'
import type { QueueAdapter } from '../../types/index.ts'
import { isUnavailable } from '../unavailable.ts'
import { Call, type Shipment } from './shipment.ts'

/** ms until a shipment is sent again that another transaction was in the way of. */
const AGAIN = 100

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
  #again: Shipment[] = []
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
      const left = group.filter(({ isOver }) => !isOver)
      const isWaiting = (error as { again?: unknown } | undefined)?.again === true
      if (isWaiting && byId(left).size === 1) this.#sendAgain(left)
      else if (group.length > 1) await this.#storeParts(left, error)
      else group[0]!.fail(error)
    }
  }

  /** One bad job must not cost the others. The queue knows jobs that are stored already by their ids. */
  async #storeParts (left: Shipment[], error: unknown): Promise<void> {
    const size = isUnavailable(Object(error)) ? 1 : Math.ceil(left.length / 2)
    const parts = []
    while (left.length > 0) parts.push(this.#store(left.splice(0, size)))
    await Promise.all(parts)
  }

  /** Until their time is over. They keep no others from being sent, and need one call at a time, however many wait. */
  #sendAgain (shipments: readonly Shipment[]): void {
    if (this.#again.push(...shipments) === shipments.length) setTimeout(() => { void this.#resend() }, AGAIN)
  }

  async #resend (): Promise<void> {
    const left = this.#again.filter(({ isOver }) => !isOver)
    this.#again = []
    for (const group of byId(left).values()) await this.#store(group)
  }
}

/** By the first job's: the same id waits for the same transaction. */
function byId (shipments: readonly Shipment[]): Map<string, Shipment[]> {
  const groups = new Map<string, Shipment[]>()
  for (const shipment of shipments) {
    const { id } = shipment.jobs[0]!
    groups.set(id, [...groups.get(id) ?? [], shipment])
  }
  return groups
}
