import { setTimeout } from 'node:timers/promises'
import { Dice } from './dice.js'

/** ms, after which nobody waits for this queue any more. */
export const PATIENCE = 100

/** A queue that is late, refuses jobs and breaks off, as its dice fall. It knows the jobs that nobody has claimed. */
export class Sink {
  name = 'sink'
  native = undefined
  capabilities = {
    delay: true,
    priority: true,
    dedupe: true,
    retry: true,
    result: false,
    cancelPending: false,
    transactional: false,
    durable: true,
    schedule: 'none',
    missedOnce: false,
    batch: { max: 20, inFlight: 2 }
  }

  /** Ids of jobs that are stored. */
  unclaimed = new Set()
  /** Ids of jobs of which nobody knows whether they are. */
  doubtful = new Set()
  /** What was claimed and is not here, or is here and was denied. */
  wrong = []
  calls = 0
  #dice = new Dice(7)
  #closed = false

  async start () {}

  async enqueue (jobs) {
    this.calls++
    if (this.#closed || this.#dice.chance(0.02)) throw Object.assign(new Error('not connected'), { ambiguous: false })
    if (this.#dice.chance(0.5)) await setTimeout(this.#dice.below(5))
    if (this.#dice.chance(0.005)) await setTimeout(PATIENCE + this.#dice.below(20))
    const receipts = jobs.map(job => this.#store(job))
    if (this.#dice.chance(0.02)) throw new Error('connection lost')
    return receipts
  }

  #store ({ id }) {
    if (this.#dice.chance(0.01)) return { id, error: new Error('refused') }
    const deduplicated = this.unclaimed.has(id)
    this.unclaimed.add(id)
    return { id, deduplicated }
  }

  /** Somebody was told that it is stored. */
  claim (id) {
    if (!this.unclaimed.delete(id)) this.wrong.push(`${id} is not stored`)
  }

  /** Somebody was told that it is not, or may not be. */
  fail ({ id, ambiguous }) {
    if (ambiguous) this.doubtful.add(id)
    else if (this.unclaimed.has(id)) this.wrong.push(`${id} is stored`)
  }

  /** Nobody knows of these. */
  get strays () {
    return [...this.unclaimed].filter(id => !this.doubtful.has(id)).length
  }

  async work () {
    throw new Error('this queue has no workers')
  }

  async health () {
    return { ok: !this.#closed, warnings: [] }
  }

  async close () {
    this.#closed = true
  }
}
