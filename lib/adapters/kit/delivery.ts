import type { ActiveJob } from '../../../types/index.ts'
import { FST_ERR_BGT_CANCELLED } from '../../errors.ts'
import type { MakeUnavailable, Unavailable } from '../../unavailable.ts'

/** A job as an engine gives it to this worker. */
export type Delivered = Omit<ActiveJob, 'signal'>

/** `cancelled`: somebody asked for it. `lost`: its lease has ended. `closed`: its worker has not waited for it. */
export type Reason = 'cancelled' | 'lost' | 'closed'

/** One job in a worker's hand, as its run sees it: all of it own properties, so that a copy of it is whole. */
export class Delivery implements ActiveJob {
  readonly id: string
  readonly queue: string
  readonly task: string
  readonly data: unknown
  readonly attempt: number
  readonly signal: AbortSignal
  readonly progress: ActiveJob['progress']
  readonly #unavailable: MakeUnavailable
  readonly #controller = new AbortController()

  constructor (delivered: Delivered, unavailable: MakeUnavailable) {
    this.id = delivered.id
    this.queue = delivered.queue
    this.task = delivered.task
    this.data = delivered.data
    this.attempt = delivered.attempt
    this.signal = this.#controller.signal
    this.progress = delivered.progress
    this.#unavailable = unavailable
  }

  /** Tells the run why it is to end. The first reason stays. */
  abort (reason: Reason): void {
    this.#controller.abort(this.#errorOf(reason))
  }

  #errorOf (reason: Reason): Error | Unavailable {
    switch (reason) {
      case 'cancelled':
        return new FST_ERR_BGT_CANCELLED(this.task)
      case 'lost':
        return this.#unavailable(
          `the lease ran out: this worker has lost the job ${this.id}, which goes to another`, false
        )
      case 'closed':
        return this.#unavailable('the worker has closed, and the job goes to another', false)
    }
  }
}
