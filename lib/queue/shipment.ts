import type { EnqueueContext, Job, QueueAdapter, Receipt } from '../../types/index.ts'
import { NoAnswer } from '../time.ts'

/**
 * Jobs on their way to the queue, and the caller who waits for their receipts: one job, or many that one call
 * of the adapter stores. It knows at every moment whether its jobs may be stored although it failed.
 */
export class Shipment {
  readonly jobs: readonly Job[]
  readonly tx: unknown
  /** Rejects when `timeout` ms are over, whatever the queue does. */
  readonly receipts: Promise<readonly Receipt[]>
  ambiguous = false
  /** Nobody waits for it any more. */
  isOver = false
  readonly #timer: NodeJS.Timeout
  #resolve!: (receipts: readonly Receipt[]) => void
  #reject!: (error: unknown) => void
  #wasAmbiguous = false
  /** The call that it goes with. */
  #call: Call | undefined = undefined

  /** @param timeout ms */
  constructor (jobs: readonly Job[], timeout: number, tx?: unknown) {
    this.jobs = jobs
    this.tx = tx
    this.receipts = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.#timer = setTimeout(() => this.#giveUp(new NoAnswer(timeout)), timeout)
  }

  depart (call: Call): void {
    this.#call = call
    this.#wasAmbiguous = this.ambiguous
    this.ambiguous = true
  }

  /** The queue answered. A refusal now does not undo what an earlier call may have stored. */
  arrive (receipts: readonly Receipt[]): void {
    if (receipts.some(({ error }) => error !== undefined)) this.ambiguous = this.#wasAmbiguous
    this.#end()
    this.#resolve(receipts)
  }

  /** The call failed, which may leave open whether it stored something. */
  noteFailure (error: unknown): void {
    this.ambiguous = this.#wasAmbiguous || (error as { ambiguous?: unknown } | undefined)?.ambiguous !== false
  }

  fail (error: unknown): void {
    this.#end()
    this.#reject(error)
  }

  #giveUp (error: Error): void {
    this.isOver = true
    this.#reject(error)
    this.#call?.leave(error)
  }

  #end (): void {
    this.isOver = true
    clearTimeout(this.#timer)
  }
}

/** A call of the adapter. It ends, whatever the adapter does, when nobody waits for its answer any more. */
export class Call implements EnqueueContext {
  readonly tx?: unknown
  readonly noWait?: boolean
  readonly #shipments: readonly Shipment[]
  readonly #controller = new AbortController()
  #abandon!: (error: Error) => void
  readonly #abandoned: Promise<never> = new Promise((_resolve, reject) => { this.#abandon = reject })

  constructor (shipments: readonly Shipment[]) {
    const [first] = shipments
    this.#shipments = shipments
    if (first!.tx === undefined) this.noWait = true
    else this.tx = first!.tx
  }

  get signal (): AbortSignal {
    return this.#controller.signal
  }

  /** @throws the adapter's error, once each shipment knows whether its jobs may be stored. */
  async store (adapter: QueueAdapter): Promise<void> {
    for (const shipment of this.#shipments) shipment.depart(this)
    try {
      const jobs = this.#shipments.flatMap(({ jobs }) => jobs)
      const receipts = await Promise.race([adapter.enqueue(jobs, this), this.#abandoned])
      let place = 0
      for (const shipment of this.#shipments) shipment.arrive(receipts.slice(place, place += shipment.jobs.length))
    } catch (error) {
      for (const shipment of this.#shipments) shipment.noteFailure(error)
      throw error
    }
  }

  /** Nobody waits for one of its shipments any more. */
  leave (error: Error): void {
    if (this.#shipments.some(({ isOver }) => !isOver)) return
    this.#controller.abort(error)
    this.#abandon(error)
  }
}
