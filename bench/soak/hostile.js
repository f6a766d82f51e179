import { AsyncLocalStorage } from 'node:async_hooks'
import { runInNewContext } from 'node:vm'

/** What a trap, getter or method of a hostile value throws. */
export class Hostility extends Error {}

/** One for all: Node 20 never forgets one, and has each promise carry the stores of all. */
const storage = new AsyncLocalStorage()

const TRAPS = Object.getOwnPropertyNames(Reflect)

/** Values of another realm, whose classes are not the ones of this one. */
const foreign = runInNewContext(`({
  error: message => new TypeError(message),
  object: () => ({ foreign: true }),
  resolved: value => Promise.resolve(value),
  rejected: error => Promise.reject(error),
  call: fn => (...args) => fn(...args),
  reading: key => ({ get [key] () { throw new TypeError('foreign') } })
})`)

const ERROR_PROPERTIES = ['name', 'message', 'code', 'stack', 'cause', 'toString', 'toJSON', 'constructor']

/**
 * Makes, as the dice say, every kind of value that user code may hand to the plugin, so hostile that whatever is done
 * with it may throw. A promise that rejects is nobody's unless it is handed over, so the caller has to do that.
 */
export class Hostile {
  #dice
  #silent

  /** @param silent whether some thenables never answer: their tasks go on for ever. */
  constructor (dice, silent = true) {
    this.#dice = dice
    this.#silent = silent
  }

  /** A proxy of which some traps throw, or all: each time, or only now and then. */
  proxy (target, untouched = []) {
    const share = this.#dice.pick([0.3, 1])
    const all = this.#dice.chance(0.4)
    const traps = TRAPS.filter(trap => !untouched.includes(trap) && (all || this.#dice.chance(0.3)))
    return new Proxy(target, Object.fromEntries(traps.map(trap => [trap, (...given) => {
      if (this.#dice.chance(share)) this.raise()
      return Reflect[trap](...given)
    }])))
  }

  /** A value of any kind, at most `depth` levels deep. It is no promise, and no thenable that never answers. */
  value (depth = 2) {
    return this.#one(depth, {
      nothing: () => this.#dice.pick([undefined, null]),
      primitive: () => this.#dice.pick([0, -0, NaN, '', 'text', true, 10n, Symbol('s'), 'x'.repeat(5_000)]),
      foreign: () => foreign.object(),
      function: () => () => this.raise(),
      bare: () => Object.create(null),
      circular: () => {
        const circle = {}
        circle.self = circle
        return circle
      },
      json: () => ({ toJSON: () => this.raise(), toString: () => this.raise(), valueOf: () => this.raise() }),
      primitiveless: () => ({
        [Symbol.toPrimitive]: () => this.raise(),
        get [Symbol.toStringTag] () { throw new Hostility('tag') }
      }),
      inspected: () => ({ [Symbol.for('nodejs.util.inspect.custom')]: () => this.raise() }),
      revoked: () => {
        const { proxy, revoke } = Proxy.revocable({}, {})
        revoke()
        return proxy
      },
      getters: () => this.#dressed({}, ['name', 'message', 'then', 'toJSON', 'length', 'constructor'], depth),
      frozen: () => Object.freeze({ at: depth }),
      error: () => this.error(depth - 1),
      // As somebody's `then`, a function that only returns would never answer.
      proxy: () => this.proxy(this.#dice.chance(0.5) ? {} : () => this.raise())
    })
  }

  /** What may be thrown: an error with everything wrong with it, or anything else. */
  error (depth = 2) {
    return this.#one(depth, {
      value: () => this.value(depth - 1),
      plain: () => new Error('plain'),
      undressed: () => Object.create(this.#dice.pick([DOMException, Error, TypeError, AggregateError]).prototype),
      dressed: () => this.#dressed(new Error('dressed'), ERROR_PROPERTIES, depth),
      aggregate: () => this.#dressed(new AggregateError([this.value(0)], 'many'), ['errors', 'cause'], depth),
      frozen: () => Object.freeze(new TypeError('frozen', { cause: this.value(0) })),
      foreign: () => this.#dressed(foreign.error('foreign'), ['name', 'code', 'cause'], depth),
      unread: () => foreign.reading(this.#dice.pick(['name', 'message', 'stack'])),
      deep: () => {
        let error = new Error('bottom')
        for (let n = 0; n < 300; n++) error = new Error('above', { cause: error })
        return error
      },
      circular: () => {
        const error = new Error('circular')
        error.cause = error
        return error
      },
      unretryable: () => Object.assign(new Error('no more'), { name: 'NonRetryableError' }),
      proxy: () => this.proxy(new Error('behind a proxy'))
    })
  }

  /** What a function may return. One in some never answers: its task needs a timeout. */
  result (depth = 2) {
    return this.#one(depth, {
      value: () => this.value(depth),
      resolved: () => Promise.resolve(this.value(depth)),
      rejected: () => Promise.reject(this.error(depth)),
      foreign: () => this.#dice.chance(0.5) ? foreign.resolved(this.value(1)) : foreign.rejected(this.error(1)),
      later: () => new Promise((resolve, reject) => {
        const [end, value] = this.#dice.chance(0.5) ? [resolve, this.value(1)] : [reject, this.error(1)]
        setImmediate(() => end(value))
      }),
      dressed: () => this.#dressed(Promise.resolve(1), ['then', 'catch', 'finally', 'constructor'], depth),
      dressedRejected: () => this.#dressed(Promise.reject(this.error(1)), ['catch', 'finally'], depth),
      species: () => Object.assign(Promise.resolve(1), {
        constructor: { get [Symbol.species] () { throw new Hostility('species') } }
      }),
      subclass: () => new (this.#subclass())(resolve => resolve(2)),
      thenable: () => this.#thenable(depth),
      proxyOfPromise: () => this.proxy(Promise.resolve(3))
    })
  }

  /** A function of any kind that does what the dice say, and may not even be callable. */
  function (work = () => this.#work()) {
    return this.#one(1, {
      plain: () => (...args) => work(...args),
      async: () => async (...args) => await work(...args),
      foreign: () => foreign.call(work),
      bound: () => work.bind(undefined),
      class: () => class { constructor () { work() } },
      named: () => Object.defineProperty((...args) => work(...args), 'name', { value: this.value(1) }),
      nameless: () => Object.defineProperty((...args) => work(...args), 'name', { get: () => this.raise() }),
      long: () => Object.defineProperty((...args) => work(...args), 'length', { get: () => this.raise() }),
      frozen: () => Object.freeze((...args) => work(...args)),
      method: () => ({ async method () { return await this.nothing() } }).method,
      // Whatever else it does, it can be called.
      proxy: () => this.proxy((...args) => work(...args), ['apply']),
      hostileProxy: () => this.proxy(() => work())
    })
  }

  /** Hooks that do the same as functions do. */
  hooks (names) {
    const some = names.filter(() => this.#dice.chance(0.6))
    return Object.fromEntries(some.map(name => [name, this.function()]))
  }

  /** A Standard Schema whose validator does what it likes. */
  schema () {
    const answer = () => this.#one(1, {
      fits: () => ({ value: this.value(1) }),
      throws: () => this.raise(),
      none: () => this.value(1),
      later: () => this.result(1),
      issues: () => ({ issues: this.value(1) }),
      oneIssue: () => ({ issues: [{ message: this.value(1), path: [this.value(1), { key: this.value(1) }] }] }),
      noMessage: () => ({ issues: [this.value(1)] }),
      proxy: () => this.proxy({ value: 1 })
    })
    return { '~standard': { version: 1, vendor: 'hostile', validate: answer } }
  }

  /** Work with the context: reads all of it, and gives back whatever. */
  #work () {
    if (this.#dice.chance(0.3)) return this.raise()
    return this.result()
  }

  /** What a function does with its context before it ends. */
  use (context) {
    const { signal, log } = context
    // What a listener throws, or answers with, is Node's to look at: an uncaughtException, by design.
    signal.addEventListener('abort', () => { this.value(1) })
    context.progress(this.value(2))
    if (this.#dice.chance(0.2)) log.info(this.value(1), 'hostile')
    if (this.#dice.chance(0.3)) storage.enterWith(this.value(0))
    return this.#work()
  }

  #subclass () {
    const dice = this.#dice
    return class extends Promise {
      static get [Symbol.species] () {
        if (dice.chance(0.5)) throw new Hostility('species')
        return Promise
      }

      then (...given) {
        if (dice.chance(0.5)) throw new Hostility('then')
        return super.then(...given)
      }
    }
  }

  #thenable (depth) {
    const then = this.#one(1, {
      resolves: () => resolve => resolve(this.value(depth - 1)),
      nests: () => resolve => resolve(depth > 0 ? this.#thenable(depth - 1) : 1),
      rejects: () => (_resolve, reject) => reject(this.error(depth - 1)),
      twice: () => (resolve, reject) => { resolve(1); reject(new Hostility('second')); resolve(2) },
      thenThrows: () => resolve => { resolve(1); throw new Hostility('after') },
      throws: () => () => this.raise(),
      ...(this.#silent && { silent: () => () => {}, proxy: () => this.proxy(() => {}) })
    })
    return this.#dice.chance(0.2) ? { get then () { throw new Hostility('then') } } : { then }
  }

  /** An object with some properties of these names, which throw when they are read, or are hostile values. */
  #dressed (object, names, depth) {
    for (const name of names) {
      if (this.#dice.chance(0.5)) continue
      const property = this.#dice.chance(0.5) ? { get: () => this.raise() } : { value: this.value(depth - 1) }
      Object.defineProperty(object, name, { ...property, configurable: true })
    }
    return object
  }

  /** Throws, an Error or whatever else. */
  raise () {
    throw this.#dice.chance(0.5) ? new Hostility('hostile') : this.error(0)
  }

  /** One of these; at the bottom the first, and that of the simple ones. */
  #one (depth, kinds) {
    if (depth <= 0) return this.#dice.pick([undefined, null, 'bottom', 7, new Error('bottom')])
    return kinds[this.#dice.pick(Object.keys(kinds))]()
  }
}

/** A logger whose methods throw, each time or sometimes, once it `isHostile`: Fastify itself has to start before. */
export function hostileLogger (hostile, dice) {
  const share = dice.pick([0.5, 1])
  const tell = () => { if (logger.isHostile && dice.chance(share)) hostile.raise() }
  const methods = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']
  const tells = methods.map(method => [method, () => tell()])
  const logger = { level: 'info', isHostile: false, ...Object.fromEntries(tells) }
  logger.child = () => {
    tell()
    return logger
  }
  return logger
}
