/** Pseudo-random numbers that a seed determines (mulberry32). */
export class Dice {
  #state

  constructor (seed) {
    this.#state = seed >>> 0
  }

  /** 0 up to, and without, 1. */
  next () {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let t = this.#state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }

  /** A whole number, 0 up to, and without, `limit`. */
  below (limit) {
    return Math.floor(this.next() * limit)
  }

  chance (share) {
    return this.next() < share
  }

  pick (items) {
    return items[this.below(items.length)]
  }
}
