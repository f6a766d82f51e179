import { setTimeout } from 'node:timers/promises'
import { Dice } from '../soak/dice.js'
import { Books } from './books.js'
import { Child } from './child.js'
import { servers } from './servers.js'
import { post, Users } from './users.js'

/** ms without a run after which a queue counts as drained: more than a lease, after which lost jobs come again. */
const QUIET = 15_000
/** ms that a queue gets to drain. */
const DRAINING = 120_000
/** ms that a store stands still: more than a lease. */
const STANDING = 11_000
const HOUR = 3_600_000
/** ms */
const STEPS = [15_000, -15_000, HOUR, -HOUR]

/** A server, producers and workers as in the middle of a deployment, and what befalls them. */
export class Scene {
  books
  /** Set at the end: all jobs, and what the queue says of each id. */
  jobs
  states = new Map()
  #server
  #dice
  #seed
  #producers
  #workers
  /** Each comes, in some order, before any comes again. */
  #toCome = []

  constructor (engine, folder, seed) {
    this.#server = new servers[engine](folder)
    this.books = new Books(folder)
    this.#dice = new Dice(seed)
    this.#seed = seed
    const children = file => [1, 2].map(version => new Child(`${file}.js`, {
      engine, options: this.#server.options, folder, version, name: `${file}-${version}`, seed: seed + version * 1_000
    }))
    this.#producers = children('producer')
    this.#workers = children('worker')
  }

  get #children () {
    return [...this.#producers, ...this.#workers]
  }

  get surprises () {
    return this.#children.flatMap(child => child.surprises)
  }

  async play (ms) {
    const kill = () => this.#server.close()
    process.once('exit', kill)
    try {
      await this.#begin()
      const users = new Users(this.#producers, this.books)
      const load = users.run(8, this.#seed)
      const end = Date.now() + ms
      while (Date.now() < end) {
        await setTimeout(1_000 + this.#dice.below(3_000))
        await this.#strike()
      }
      users.stopping = true
      await load
      await Promise.all(this.#children.map(child => child.ready))
      await Promise.all(this.#producers.map(producer => producer.quieten()))
      // What was put off by a clock that was ahead is due then.
      for (const child of this.#children) child.setClock(2 * HOUR)
      this.books.fault('clock stepped').end = Date.now()
      await this.#drain()
      await this.#ask()
    } finally {
      await Promise.all(this.#children.map(child => child.close()))
      await this.#server.close()
      process.off('exit', kill)
    }
  }

  /** The server comes last: it is down at boot. */
  async #begin () {
    for (const child of this.#children) child.start()
    const fault = this.#server.kill && this.books.fault('down at boot')
    await Promise.all(this.#children.map(child => child.ready))
    await setTimeout(1_000)
    await this.#server.start()
    if (fault !== undefined) fault.end = Date.now()
  }

  async #strike () {
    if (this.#toCome.length === 0) {
      const more = this.#server.kill ? ['killServer', 'killServer'] : ['killWorker']
      const twice = ['killWorker', 'stepClock', 'plant'].flatMap(kind => [kind, kind])
      this.#toCome.push('killProducer', 'hang', 'stand', ...twice, ...more)
    }
    const [kind] = this.#toCome.splice(this.#dice.below(this.#toCome.length), 1)
    await this[kind](this.#dice)
  }

  async killWorker (dice) {
    const worker = dice.pick(this.#workers)
    const { pid } = worker
    const fault = this.books.fault('worker killed', { pid })
    await worker.kill()
    fault.end = Date.now()
    worker.start()
  }

  async killProducer (dice) {
    const producer = dice.pick(this.#producers)
    const fault = this.books.fault('producer killed')
    await producer.kill()
    fault.end = Date.now()
    producer.start()
  }

  async killServer (dice) {
    const fault = this.books.fault('server killed')
    await this.#server.kill()
    await this.#meanwhile(dice, dice.below(3_000))
    await this.#server.start()
    fault.end = Date.now()
  }

  async hang (dice) {
    const fault = this.books.fault(this.#server.kill ? 'server hung' : 'file locked')
    this.#server.hang()
    await this.#meanwhile(dice, 1_000 + dice.below(4_000))
    this.#server.resume()
    fault.end = Date.now()
  }

  async stand (dice) {
    const fault = this.books.fault('store stood')
    this.#server.hang()
    await this.#meanwhile(dice, STANDING + dice.below(3_000))
    this.#server.resume()
    fault.end = Date.now()
  }

  async plant () {
    const fault = this.books.fault('foreign rows')
    this.books.planted.push(...await this.#server.plant())
    fault.end = Date.now()
  }

  /** Of one process, as each machine has a clock of its own; those on one file share one. */
  async stepClock (dice) {
    const children = this.#server.kill ? [dice.pick(this.#children)] : this.#children
    const fault = this.books.fault('clock stepped')
    const ms = dice.pick(STEPS)
    for (const child of children) child.setClock(ms)
    await this.#meanwhile(dice, 1_000 + dice.below(4_000))
    for (const child of children) child.setClock(0)
    fault.end = Date.now()
  }

  async #meanwhile (dice, ms) {
    await setTimeout(ms / 2)
    if (dice.chance(0.3)) await this[dice.pick(['killWorker', 'killProducer'])](dice)
    await setTimeout(ms / 2)
  }

  async #drain () {
    const end = Date.now() + DRAINING
    for (;;) {
      this.jobs = this.books.read()
      const last = this.jobs.flatMap(job => job.runs).reduce((last, run) => Math.max(last, run.end ?? run.start), 0)
      const isDone = this.jobs.every(job => !job.acknowledged || job.completed.length > 0)
      if (Date.now() > end || (isDone && Date.now() - last > QUIET)) return
      await setTimeout(500)
    }
  }

  async #ask () {
    const ids = [...this.books.planted, ...this.jobs.flatMap(job => job.ids)]
    for (let start = 0; start < ids.length; start += 50) {
      const some = ids.slice(start, start + 50)
      const response = await post(`${this.#producers[0].url}/states`, some)
      if (!response.ok) throw new Error(`The queue does not tell its states: ${await response.text()}`)
      const states = await response.json()
      for (const [index, id] of some.entries()) this.states.set(id, states[index])
    }
  }
}
