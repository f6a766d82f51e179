import type { Job } from 'pg-boss'
import type { ActiveJob } from '../../../types/index.ts'
import type { Engine } from './engine.ts'
import { fromRow } from './job-row.ts'
import { toStored } from './stored-json.ts'

/** A job that this worker holds. */
export class Delivery {
  readonly id: string
  readonly retryCount: number
  readonly job: ActiveJob
  /** When its verdict was known, or it was lost; what else comes is not recorded. ms since 1970. */
  overAt: number | undefined
  /** Resolves once nothing is left to be recorded. */
  readonly ended: Promise<void>
  end!: () => void
  readonly #controller = new AbortController()

  constructor (engine: Engine, queue: string, { id, data, retryCount }: Job) {
    this.id = id
    this.retryCount = retryCount
    this.ended = new Promise(resolve => { this.end = resolve })
    this.job = {
      id,
      queue,
      ...fromRow(data, Date.now()),
      attempt: retryCount + 1,
      signal: this.#controller.signal,
      progress: async value => {
        const output = JSON.stringify({ progress: toStored(value) })
        await engine.database.query(engine.statementsOf(queue).progress, [queue, id, retryCount, output])
      }
    }
  }

  abort (reason: Error): void {
    this.#controller.abort(reason)
  }
}
