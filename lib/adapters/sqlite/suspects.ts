import type { Connection } from './connection.ts'
import { EXPIRE, SUSPECTS } from './statements.ts'

/** A lease as it stood when it was first seen to be late. */
interface Suspect {
  readonly sequence: number
  readonly deliveries: number
  readonly lease: number
}

/** ms between two looks, at the most. */
const LONGEST_PAUSE = 500

/**
 * Leases that nobody seems to renew. By the clock alone that cannot be told: the store may have stood still for
 * all, and the clocks of processes differ. So a late lease is watched first. Only if it is still the same when its
 * worker has had the time to renew it twice over, and the store took writes all the while, its job is taken away.
 */
export class Suspects {
  readonly #connection: Connection
  /** ms that a lease runs. */
  readonly #length: number
  /** ms that one is watched. */
  readonly #patience: number
  /** ms between two looks. */
  readonly pause: number
  /** Each with the time of this process at which it was first seen. */
  #seen = new Map<string, number>()
  #lookedAt = -Infinity

  constructor (connection: Connection, lease: number, pollInterval: number) {
    this.#connection = connection
    this.#length = lease
    this.pause = Math.min(pollInterval, LONGEST_PAUSE)
    // A worker renews at every third of its lease, and may have to wait for others to finish writing.
    this.#patience = lease / 3 + this.pause + 100
  }

  /** Whether it is time for another look. */
  isDue (time: number): boolean {
    return time - this.#lookedAt >= this.pause
  }

  /**
   * Takes jobs from workers that do not renew their leases, and says from how many. Call it in a transaction.
   *
   * @param now ms since 1970
   * @param time ms of this process
   */
  expire (now: number, time: number): number {
    // Whoever did not look does not know whether the store stood still.
    if (time - this.#lookedAt > 4 * this.pause) this.#seen.clear()
    this.#lookedAt = time
    const seen = new Map<string, number>()
    const given: Suspect[] = []
    for (const suspect of this.#connection.all<Suspect>(SUSPECTS, now, now + this.#length)) {
      const key = `${suspect.sequence} ${suspect.deliveries} ${suspect.lease}`
      const since = this.#seen.get(key) ?? time
      if (time - since >= this.#patience) given.push(suspect)
      else seen.set(key, since)
    }
    this.#seen = seen
    for (const { sequence, deliveries } of given) this.#connection.run(EXPIRE, now, sequence, deliveries)
    return given.length
  }

  /** The store does not take writes: nobody can renew a lease. */
  forget (): void {
    this.#seen.clear()
  }
}
