import { Delivery } from '../kit/delivery.ts'
import { unavailable } from './connection.ts'
import type { Claimed } from './leases.ts'
import type { Entry } from './verdicts.ts'

/** A job that this process has a lease on, and runs. */
export class SqliteDelivery {
  readonly lease: Claimed
  readonly job: Delivery
  /** The verdict to be recorded, once the run has ended. */
  entry: Entry | undefined = undefined

  constructor (queue: string, lease: Claimed, progress: (delivery: SqliteDelivery, value: unknown) => Promise<void>) {
    const { id, task, data, attempt } = lease
    const delivered = { id, queue, task, data, attempt, progress: (value: unknown) => progress(this, value) }
    this.lease = lease
    this.job = new Delivery(delivered, unavailable)
  }
}
