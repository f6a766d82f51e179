import type { ActiveJob } from '../../types/index.ts'
import { cleanError } from '../engine-error.ts'
import { jsonCopy } from '../json.ts'
import { NoAnswer, within } from '../time.ts'

/** ms that a value under way may hold up the verdict. */
const PATIENCE = 5_000

/**
 * What a job says of its progress, on its way to the queue. One value is written at a time; of those that come
 * meanwhile only the latest waits.
 */
export class Progress {
  readonly #job: ActiveJob
  readonly #max: number
  readonly #failed: (error: unknown) => void
  #latest: { readonly value: unknown } | undefined = undefined
  #writing: Promise<void> | undefined = undefined

  /** @param max bytes of JSON */
  constructor (job: ActiveJob, max: number, failed: (error: unknown) => void) {
    this.#job = job
    this.#max = max
    this.#failed = failed
  }

  /** Never throws. The value is copied now, as the task may change it later. */
  keep (value: unknown): void {
    try {
      this.#latest = { value: jsonCopy(value, this.#max) }
      this.#writing ??= this.#write()
    } catch (error) {
      this.#failed(error)
    }
  }

  /**
   * To be called once nothing is kept any more. Resolves when the latest value is written, as a verdict that goes
   * before could be undone by it; or cannot be; or 5 s later, as a verdict matters more.
   */
  async end (): Promise<void> {
    if (this.#writing === undefined || await within(PATIENCE, this.#writing)) return
    this.#latest = undefined
    this.#failed(new NoAnswer(PATIENCE))
  }

  async #write (): Promise<void> {
    while (this.#latest !== undefined) {
      const { value } = this.#latest
      this.#latest = undefined
      try {
        await this.#job.progress(value)
      } catch (error) {
        this.#failed(cleanError(error))
      }
    }
    this.#writing = undefined
  }
}
