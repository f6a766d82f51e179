import type { ActiveJob } from '../../types/index.ts'
import { jsonCopy } from '../json.ts'

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
  #ended = false

  /** @param max bytes of JSON */
  constructor (job: ActiveJob, max: number, failed: (error: unknown) => void) {
    this.#job = job
    this.#max = max
    this.#failed = failed
  }

  /** Never throws. The value is copied now, as the task may change it later. After the end, nothing is kept. */
  keep (value: unknown): void {
    if (this.#ended) return
    try {
      this.#latest = { value: jsonCopy(value, this.#max) }
      this.#writing ??= this.#write()
    } catch (error) {
      this.#failed(error)
    }
  }

  /** Resolves once the latest value is kept, or cannot be: a verdict that goes before would be undone by it. */
  async end (): Promise<void> {
    this.#ended = true
    await this.#writing
  }

  async #write (): Promise<void> {
    while (this.#latest !== undefined) {
      const { value } = this.#latest
      this.#latest = undefined
      try {
        await this.#job.progress(value)
      } catch (error) {
        this.#failed(error)
      }
    }
    this.#writing = undefined
  }
}
