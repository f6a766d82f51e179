import { Delivery } from '../kit/delivery.ts'
import { unavailable } from './database.ts'
import type { Engine } from './engine.ts'
import { fromRow } from './job-row.ts'
import type { FetchedRow } from './statements.ts'
import { toStored } from './stored-json.ts'

/** A job that this worker holds. */
export class PgBossDelivery {
  readonly job: Delivery
  readonly retryCount: number
  /** When its verdict was known, or it was lost, in ms since 1970. A later verdict is not recorded. */
  overAt: number | undefined
  /** Resolves once nothing is left to be recorded. */
  readonly ended: Promise<void>
  end!: () => void

  constructor (engine: Engine, queue: string, row: FetchedRow) {
    const { id, data, retryCount, storedAt, isCancelled } = row
    const progress = async (value: unknown): Promise<void> => {
      const output = JSON.stringify({ progress: toStored(value) })
      await engine.database.query(engine.statementsOf(queue).progress, [queue, id, retryCount, output])
    }
    const delivered = { id, queue, ...fromRow(data, storedAt), attempt: retryCount + 1, progress }
    this.job = new Delivery(delivered, unavailable)
    if (isCancelled === true) this.job.abort('cancelled')
    this.retryCount = retryCount
    this.ended = new Promise(resolve => { this.end = resolve })
  }
}
