import { performance } from 'node:perf_hooks'
import { setTimeout } from 'node:timers/promises'
import { Type } from '@sinclair/typebox'
import { defineTask } from 'fastify-background-tasks'
import { Hostile } from './hostile.js'

/** Adds tasks of every kind, as the dice fall, and keeps the books about them. */
export class Tasks {
  /** Late adds that are still to come, and handles that have not settled. */
  open = 0
  #app
  #books
  #defined
  #escalating
  #sink

  constructor (app, books, sink) {
    this.#app = app
    this.#books = books
    this.#sink = sink
    this.#defined = defineTask({
      name: 'defined',
      payload: Type.Object({ n: Type.Integer() }),
      run: () => this.#ran()
    })
    this.#escalating = defineTask({
      name: 'escalating',
      payload: Type.Object({ n: Type.Integer() }),
      escalate: ['failure', 'overflow', 'shutdown'],
      run: ({ n }) => {
        this.#ran()
        return n < 3 ? failure() : setTimeout(n)
      }
    })
  }

  get defined () {
    return [this.#defined, this.#escalating]
  }

  /** A handful for a request: now, later, and from other tasks. */
  addSome (to, dice) {
    for (let count = dice.below(4); count > 0; count--) this.#addOne(to, dice, 0)
    if (dice.chance(0.001)) this.#flood(dice.chance(0.5) ? [to, 0] : [this.#app.backgroundTasks, 2])
  }

  /** More than there is room for. Outside of a request they also take all the running places for a while. */
  #flood ([to, ms]) {
    for (let count = 1_500; count > 0; count--) {
      const hooks = { onTaskLost: () => count % 2 === 0 ? this.#addAgain() : this.#addAgainLater() }
      this.#add(to, 'success', { name: 'flood', hooks }, () => {
        this.#ran()
        if (ms > 0) return setTimeout(ms)
      })
    }
  }

  addLate (to, dice) {
    this.#later(dice.below(30), () => this.#addOne(to, dice, 0))
  }

  /** From an onTaskLost hook, which gets an error where that would be lost again. */
  #addAgain () {
    const { again } = this.#books
    try {
      this.#add(this.#app.backgroundTasks, 'success', { name: 'again' }, () => this.#ran())
      again.added++
    } catch (error) {
      if (error.code !== 'FST_ERR_BGT_OVERFLOW' && error.code !== 'FST_ERR_BGT_CLOSED') throw error
      again.refused++
    }
  }

  async #addAgainLater () {
    this.open++
    await setTimeout(1)
    this.open--
    this.#addAgain()
  }

  #later (ms, work) {
    this.open++
    setTimeout(ms).then(() => {
      this.open--
      work()
    })
  }

  #ran () {
    this.#books.attempts.run++
  }

  #add (to, when, ...args) {
    const books = this.#books
    const handle = to.add(...args)
    books.added++
    this.open++
    handle.settled.then(({ state, attempts, reason, id }) => {
      this.open--
      if (state === 'escalated') this.#sink.claim(id)
      books.settled[state]++
      books.attempts.settled += attempts
      if (state === 'skipped' && when === 'error' && reason === 'answered') books.quietSkips++
    })
    return handle
  }

  async #enqueue (to, payload) {
    const { enqueued } = this.#books
    this.open++
    try {
      this.#sink.claim((await to.enqueue(this.#escalating, payload)).id)
      enqueued.stored++
    } catch (error) {
      this.#sink.fail(error)
      enqueued.failed++
    }
    this.open--
  }

  #addOne (to, dice, depth) {
    const when = dice.chance(0.7) ? 'success' : dice.pick(['error', 'always'])
    const kind = dice.pick(Object.keys(kinds))
    const [options, work] = kinds[kind](dice)
    if (kind === 'defined') {
      this.#add(to, 'success', this.#defined, { n: dice.below(10) })
    } else if (kind === 'escalating') {
      const handle = this.#add(to, 'success', this.#escalating, { n: dice.below(10) })
      if (dice.chance(0.1)) this.#later(dice.below(20), () => handle.cancel())
    } else if (kind === 'enqueued') {
      this.#enqueue(to, { n: dice.below(10) })
    } else if (kind === 'refused') {
      try {
        to.add(this.#defined, { n: 'not a number' })
      } catch (error) {
        if (error.code !== 'FST_ERR_BGT_INVALID_PAYLOAD') throw error
        this.#books.refused++
      }
    } else if (kind === 'readded') {
      this.#add(to, 'success', { name: kind, hooks: { onTaskLost: () => this.#addAgain() } }, () => this.#ran())
    } else if (kind === 'arguments') {
      this.#add(to, 'success', (one, two) => this.#ran(one, two), 1, 2)
    } else {
      const handle = this.#add(to, when, { name: kind, when, ...options }, context => {
        this.#ran()
        if (depth < 3 && dice.chance(0.1)) {
          this.#addOne(dice.chance(0.5) ? to : this.#app.backgroundTasks, dice, depth + 1)
        }
        return work?.(context)
      })
      if (dice.chance(0.05)) handle.cancel()
      else if (dice.chance(0.2)) this.#later(dice.below(dice.pick([10, 100])), () => handle.cancel())
    }
  }
}

const failure = () => { throw new Error('a task fails') }

/** Each gives the options of a task and what it does. */
const kinds = {
  defined: () => [],
  escalating: () => [],
  enqueued: () => [],
  refused: () => [],
  arguments: () => [],
  readded: () => [],
  synchronous: () => [{}, undefined],
  asynchronous: dice => {
    const ms = dice.below(5)
    return [{}, () => setTimeout(ms)]
  },
  blocking: () => [{}, () => {
    const end = performance.now() + 0.3
    while (performance.now() < end);
  }],
  throwing: () => [{}, failure],
  rejecting: () => [{}, () => setTimeout(1).then(failure)],
  strange: dice => [{}, dice.pick([
    () => { throw undefined }, // eslint-disable-line no-throw-literal
    () => Promise.reject(null), // eslint-disable-line prefer-promise-reject-errors
    () => ({ then () { throw new Error('from then') } }),
    () => ({ then (resolve, reject) { resolve(1); reject(new Error('second answer')) } }),
    () => ({ get then () { throw new Error('from the getter') } })
  ])],
  hostile: dice => {
    // None is silent for ever, as in the end nothing is to go on.
    const hostile = new Hostile(dice, false)
    const retry = dice.chance(0.3) ? { retry: { attempts: 2, delay: 1 } } : {}
    const hooks = hostile.hooks(['onTaskStart', 'onTaskCompleted', 'onTaskFailed', 'onTaskLost'])
    return [{ timeout: 5, hooks, ...retry }, context => hostile.use(context)]
  },
  obedient: () => [{ timeout: 5 }, ({ signal }) => setTimeout(50, undefined, { signal })],
  disobedient: () => [{ timeout: 5 }, () => setTimeout(25)],
  late: () => [{ timeout: 5 }, () => setTimeout(15).then(failure)],
  retried: dice => {
    const good = 1 + dice.below(4)
    const retry = { attempts: 3, delay: dice.below(20), backoff: dice.pick(['fixed', 'exponential']) }
    return [{ retry }, ({ attempt }) => { if (attempt < good) failure() }]
  },
  hooked: dice => [{
    hooks: dice.pick([
      { onTaskStart: failure },
      { onTaskCompleted: () => setTimeout(1).then(failure) },
      { onTaskSkipped: failure, onTaskLost: failure }
    ])
  }, undefined]
}
