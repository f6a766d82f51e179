import type { TakenJob } from './taken-job.ts'

const MINUTE = 60_000
/** How much longer than `delay` a job waits at the most: workers of two versions may be side by side for long. */
const LONGEST = 4
/** Jobs that are remembered. */
const MAX_SEEN = 10_000
/** Names of tasks that are told of in a minute. */
const MAX_NAMES = 100

interface Told {
  readonly at: number
  /** Jobs since then. */
  jobs: number
}

/**
 * The jobs that a worker cannot run and leaves to others: since when it has seen each, and when to tell of them. The
 * time of day is not asked: a step of it, or a weekend without workers, would fail jobs at first sight.
 */
export class UnknownJobs {
  readonly #delay: number
  readonly #grace: number
  readonly #began = performance.now()
  /** By id, when a job was first seen. */
  readonly #seen = new Map<string, number>()
  readonly #told = new Map<string, Told>()

  constructor ({ delay, grace }: { readonly delay: number, readonly grace: number }) {
    this.#delay = delay
    this.#grace = grace
  }

  /**
   * ms since this worker first saw a job. One too many to be remembered counts as seen since it was due, or since
   * this worker began, whichever was later.
   */
  ageOf ({ id, data: { enqueuedAt, delay = 0 } }: TakenJob): number {
    const now = performance.now()
    const seen = this.#seen.get(id)
    if (seen !== undefined) return now - seen
    if (this.#seen.size === MAX_SEEN) this.#forgetGone(now)
    if (this.#seen.size === MAX_SEEN) return Math.max(Math.min(Date.now() - enqueuedAt - delay, now - this.#began), 0)
    this.#seen.set(id, now)
    return 0
  }

  forget ({ id }: TakenJob): void {
    this.#seen.delete(id)
  }

  /** ms until another look: half of the job's age, within limits, and not long after its `grace`. */
  delayOf (age: number): number {
    return Math.max(this.#delay, Math.min(age / 2, LONGEST * this.#delay, this.#grace - age))
  }

  /** The number of deliveries to tell of now: 0 where the name was told of in this minute. */
  countOf ({ task, data: { version } }: TakenJob): number {
    const now = performance.now()
    const key = `${version} ${task}`
    const told = this.#told.get(key)
    if (told !== undefined && now - told.at < MINUTE) {
      told.jobs++
      return 0
    }
    if (told === undefined && !this.#hasRoom(now)) return 0
    this.#told.delete(key)
    this.#told.set(key, { at: now, jobs: 0 })
    return (told?.jobs ?? 0) + 1
  }

  /** The oldest, if it has not come again in all the time that it had: another worker has run it. */
  #forgetGone (now: number): void {
    const [oldest] = this.#seen
    const [id, seen] = oldest!
    if (now - seen > this.#grace + 2 * LONGEST * this.#delay) this.#seen.delete(id)
  }

  #hasRoom (now: number): boolean {
    const [oldest] = this.#told
    if (this.#told.size < MAX_NAMES) return true
    const [key, { at }] = oldest!
    return now - at >= MINUTE && this.#told.delete(key)
  }
}
