import type { Job, QueueAdapter, Receipt } from '../../types/index.ts'
import { noAnswer } from '../time.ts'

type Store = (jobs: readonly Job[]) => Promise<Receipt[]>

/** A job on its way, and whether it may have been stored if that ends badly. */
export class Shipment {
  readonly job: Job
  ambiguous = false
  /** The queue answered, and did not want it. */
  refused = false

  constructor (job: Job) {
    this.job = job
  }
}

/** Stores shipments, and notes on each what a failure leaves open. */
export async function store (shipments: readonly Shipment[], call: Store): Promise<Receipt[]> {
  const before = shipments.map(({ ambiguous }) => ambiguous)
  for (const shipment of shipments) shipment.ambiguous = true
  try {
    const receipts = await call(shipments.map(({ job }) => job))
    // What an earlier call may have stored, a refusal now does not undo.
    for (const [index, { error }] of receipts.entries()) if (error !== undefined) shipments[index]!.ambiguous = before[index]!
    return receipts
  } catch (error) {
    const isAmbiguous = (error as { ambiguous?: unknown } | undefined)?.ambiguous !== false
    for (const [index, shipment] of shipments.entries()) shipment.ambiguous = isAmbiguous || before[index]!
    throw error
  }
}

interface Waiting {
  readonly shipment: Shipment
  readonly resolve: (receipt: Receipt) => void
  readonly reject: (error: unknown) => void
  readonly timer: NodeJS.Timeout
  /** What it was sent with, latest. */
  call: Call | undefined
  gaveUp: boolean
}

/** Ends, whatever the queue does, when nobody waits for its answer any more. */
class Call {
  readonly #controller = new AbortController()
  #waiting: number
  #abandon!: (error: Error) => void
  readonly abandoned: Promise<never> = new Promise((_resolve, reject) => { this.#abandon = reject })

  constructor (waiting: number) {
    this.#waiting = waiting
  }

  get signal (): AbortSignal {
    return this.#controller.signal
  }

  leave (error: Error): void {
    if (--this.#waiting > 0) return
    this.#controller.abort(error)
    this.#abandon(error)
  }
}

/**
 * Group commit: jobs that come while others are being stored wait for these, and are then stored
 * together. One that comes alone is stored at once, so nobody waits for company.
 */
export class Batches {
  readonly #adapter: QueueAdapter
  readonly #timeout: number
  readonly #max: number
  readonly #maxInFlight: number
  #waiting: Waiting[] = []
  #inFlight = 0

  /** @param timeout ms from `add` on, after which nothing is sent any more, nor waited for. */
  constructor (adapter: QueueAdapter, timeout: number) {
    const { batch } = adapter.capabilities
    this.#adapter = adapter
    this.#timeout = timeout
    this.#max = batch === false ? 1 : batch.max
    this.#maxInFlight = batch === false ? Infinity : batch.inFlight
  }

  add (shipment: Shipment): Promise<Receipt> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#giveUp(waiting), this.#timeout)
      const waiting: Waiting = { shipment, resolve, reject, timer, call: undefined, gaveUp: false }
      this.#waiting.push(waiting)
      this.#next()
    })
  }

  #giveUp (waiting: Waiting): void {
    const error = noAnswer(this.#timeout)
    waiting.gaveUp = true
    waiting.reject(error)
    waiting.call?.leave(error)
  }

  #next (): void {
    while (this.#inFlight < this.#maxInFlight && this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, this.#max).filter(({ gaveUp }) => !gaveUp)
      if (batch.length === 0) continue
      this.#inFlight++
      void this.#send(batch).then(() => {
        this.#inFlight--
        this.#next()
      })
    }
  }

  async #send (batch: Waiting[]): Promise<void> {
    const call = new Call(batch.length)
    for (const waiting of batch) waiting.call = call
    try {
      const shipments = batch.map(({ shipment }) => shipment)
      const receipts = await store(shipments, jobs => Promise.race([this.#adapter.enqueue(jobs, call), call.abandoned]))
      for (const [index, { timer, resolve }] of batch.entries()) {
        clearTimeout(timer)
        resolve(receipts[index]!)
      }
    } catch (error) {
      const [first, ...others] = batch
      if (others.length === 0) {
        clearTimeout(first!.timer)
        return first!.reject(error)
      }
      // One bad job must not cost the others. Those that are stored already are known by their ids.
      await Promise.all(batch.filter(({ gaveUp }) => !gaveUp).map(waiting => this.#send([waiting])))
    }
  }
}
