import { randomUUID } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import { Dice } from '../soak/dice.js'

/** ms after which an enqueue counts as hung. The plugin's `enqueueTimeout` is 5,000. */
const PATIENCE = 15_000

/** Ask the producers for jobs, one after the other, and put the answers into the books. */
export class Users {
  stopping = false
  #producers
  #books
  #count = 0

  constructor (producers, books) {
    this.#producers = producers
    this.#books = books
  }

  async run (count, seed) {
    await Promise.all(Array.from({ length: count }, (_, index) => this.#user(new Dice(seed + index))))
  }

  async #user (dice) {
    while (!this.stopping) {
      const { url } = dice.pick(this.#producers)
      if (url !== undefined) await this.#ask(url, dice)
      await setTimeout(10 + dice.below(50))
    }
  }

  async #ask (url, dice) {
    const block = Math.floor(this.#count++ / 40)
    const key = dice.chance(0.2) ? `${block}-${dice.below(4)}` : undefined
    const job = key ?? randomUUID()
    const start = performance.now()
    try {
      const response = await post(`${url}/jobs`, { job, key }, AbortSignal.timeout(PATIENCE))
      this.#books.answer({ job, status: response.status, ...await response.json() }, performance.now() - start)
    } catch (error) {
      // Nothing was sent.
      if (error.cause?.code === 'ECONNREFUSED') return
      this.#books.answer({ job, hung: error.name === 'TimeoutError' }, performance.now() - start)
    }
  }
}

export function post (url, body, signal) {
  const headers = { 'content-type': 'application/json' }
  return fetch(url, { method: 'POST', headers, body: JSON.stringify(body), signal })
}
