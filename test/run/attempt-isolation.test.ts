import { setImmediate } from 'node:timers/promises'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { makeApp } from '../helpers/app.ts'
import { LogLines } from '../helpers/log-lines.ts'

const boom = new Error('boom')
const throws = (): never => { throw boom }

/** A proxy whose every trap throws. */
function hostile (target: object): object {
  return new Proxy(target, new Proxy({}, { get: () => throws }))
}

function thrower (value: unknown): () => never {
  return () => { throw value }
}

class Rude extends Error {
  override get message (): string { return throws() }
  override get stack (): string { return throws() }
  override get name (): string { return throws() }
}

class Custom extends Error {}

await t.test('an Error is the outcome\'s error as it is', async t => {
  const app = await makeApp(t)
  const foreign = runInNewContext('new TypeError("foreign")') as Error
  t.notOk(foreign instanceof Error)
  for (const error of [boom, new Custom('custom'), foreign, new Rude(), new AggregateError([boom])]) {
    for (const task of [thrower(error), () => Promise.reject(error)]) {
      const outcome = await app.backgroundTasks.add(task).settled
      t.equal(outcome.state === 'failed' && outcome.error, error)
    }
  }
})

const values: [value: unknown, told: string][] = [
  [undefined, 'undefined'],
  [null, 'null'],
  ['text', "'text'"],
  [0, '0'],
  [Symbol('s'), 'Symbol(s)'],
  [{ code: 1 }, '{ code: 1 }'],
  ['x'.repeat(100), `'${'x'.repeat(60)}'... 40 more characters`]
]

await t.test('anything else that is thrown is the cause of a coded error', async t => {
  const app = await makeApp(t)
  for (const [value, told] of values) {
    for (const task of [thrower(value), () => setImmediate().then(thrower(value))]) {
      const outcome = await app.backgroundTasks.add({ name: 'odd' }, task).settled
      t.match(outcome, { state: 'failed', attempts: 1, error: { code: 'FST_ERR_BGT_NON_ERROR', message: `Task "odd" threw a value that is not an Error: ${told}` } })
      t.equal(outcome.state === 'failed' && outcome.error.cause, value)
    }
  }
})

await t.test('a value that cannot even be looked at is the cause of a coded error', async t => {
  const app = await makeApp(t)
  const value = hostile({})
  for (const task of [thrower(value), () => setImmediate().then(thrower(value))]) {
    const outcome = await app.backgroundTasks.add({ name: 'odd' }, task).settled
    t.equal(outcome.state, 'failed')
    if (outcome.state !== 'failed') return
    t.match(outcome.error, { code: 'FST_ERR_BGT_NON_ERROR', message: 'Task "odd" threw a value that is not an Error: ' })
    t.ok(outcome.error instanceof Error)
  }
})

await t.test('a line at which the logger throws is written again with what can be read of the error', async t => {
  const lines = new LogLines('error')
  const app = await makeApp(t, {}, { logger: lines.logger })
  const chain = (depth: number): Error => {
    let error = new Error('bottom')
    while (depth-- > 0) error = new Error('above', { cause: error })
    return error
  }
  const thrown: [error: unknown, told: object][] = [
    [new Rude(), { message: 'an error that throws when it is read' }],
    [Object.freeze(Object.assign(new TypeError('frozen'), { code: 'E_FROZEN' })), { type: 'TypeError', message: 'frozen' }],
    [chain(20_000), { message: 'above' }]
  ]
  for (const [error, told] of thrown) {
    const { id, settled } = app.backgroundTasks.add({ name: 'odd' }, thrower(error))
    t.hasStrict(await settled, { state: 'failed', error })
    t.match(lines.all.splice(0), [{ msg: 'background task failed', task: 'odd', taskId: id, attempt: 1, err: told }])
  }
})

await t.test('a logger that always throws is a warning of the process', async t => {
  const warnings: Error[] = []
  const warned = (warning: Error): void => { warnings.push(warning) }
  process.on('warning', warned)
  t.teardown(() => process.off('warning', warned))
  const app = await makeApp(t)
  t.capture(app.log, 'error', throws)
  const handle = app.backgroundTasks.add({ name: 'rude' }, thrower(new Rude()))
  t.hasStrict(await handle.settled, { state: 'failed' })
  await setImmediate()
  t.match(warnings, [{ name: 'FastifyBackgroundTasksWarning', message: `The logger threw at the line "background task failed" about task "rude" (${handle.id})` }])
  t.equal(warnings.length, 1)
  t.hasStrict(await app.backgroundTasks.add(() => 'next').settled, { state: 'completed', result: 'next' })
})

const thenables: [what: string, task: () => unknown, outcome: object][] = [
  ['that resolves at once', () => ({ then: (resolve: (value: unknown) => void) => resolve('now') }), { state: 'completed', result: 'now' }],
  ['that rejects at once', () => ({ then: (_: unknown, reject: (error: unknown) => void) => reject(boom) }), { state: 'failed', error: boom }],
  ['that is a function', () => Object.assign(() => {}, { then: (resolve: (value: unknown) => void) => resolve('called') }), { state: 'completed', result: 'called' }],
  ['that throws', () => ({ then: throws }), { state: 'failed', error: boom }],
  ['that resolves and then throws', () => ({ then (resolve: (value: unknown) => void) { resolve('first'); throws() } }), { state: 'completed', result: 'first' }],
  ['whose then cannot be read', () => ({ get then () { return throws() } }), { state: 'failed', error: boom }],
  ['whose traps throw', () => hostile({}), { state: 'failed', error: boom }],
  ['that answers twice', () => ({
    then (resolve: (value: unknown) => void, reject: (error: unknown) => void) { resolve('first'); reject(boom); resolve('second') }
  }), { state: 'completed', result: 'first' }],
  ['that resolves to another', () => ({ then: (resolve: (value: unknown) => void) => resolve({ then: (again: (value: unknown) => void) => again('inner') }) }), { state: 'completed', result: 'inner' }],
  ['that is none', () => ({ then: 'later' }), { state: 'completed', result: { then: 'later' } }],
  // A promise is what it is, as for await: a `then` of its own is not called.
  ['that is a promise whose own then throws', () => Object.assign(Promise.resolve('own'), { then: throws }), { state: 'completed', result: 'own' }],
  ['that is a promise whose own then answers twice', () => Object.assign(Promise.resolve('own'), {
    then (resolve: (value: unknown) => void, reject: (error: unknown) => void) { resolve('first'); reject(boom) }
  }), { state: 'completed', result: 'own' }],
  ['that is a promise whose constructor throws', () => Object.defineProperty(Promise.resolve('own'), 'constructor', { get: throws }), { state: 'failed', error: boom }],
  ['that is a promise whose species throws', () => Object.assign(Promise.resolve('own'), { constructor: { get [Symbol.species] () { return throws() } } }), { state: 'failed', error: boom }],
  ['that resolves to a value whose then throws', () => Promise.resolve({ get then () { return throws() } }), { state: 'failed', error: boom }],
  ['that is a promise of another realm', () => runInNewContext('Promise.resolve("foreign")') as unknown, { state: 'completed', result: 'foreign' }]
]

for (const [what, task, outcome] of thenables) {
  await t.test(`a thenable ${what}`, async t => {
    const app = await makeApp(t)
    t.hasStrict(await app.backgroundTasks.add(task).settled, outcome)
    t.hasStrict(await app.backgroundTasks.add(() => 'next').settled, { state: 'completed', result: 'next' })
    t.match(app.backgroundTasks.stats(), { added: 2, running: 0, abandoned: 0 })
  })
}

await t.test('a thenable that never calls back is ended by the timeout', async t => {
  const app = await makeApp(t)
  const outcome = await app.backgroundTasks.add({ timeout: 1 }, () => ({ then () {} })).settled
  t.match(outcome, { state: 'failed', error: { code: 'FST_ERR_BGT_TIMEOUT' } })
  t.equal(app.backgroundTasks.stats().abandoned, 1)
})

await t.test('the task after one that fails runs, whatever that did', async t => {
  const app = await makeApp(t)
  const ran: number[] = []
  const tasks = [throws, thrower(undefined), () => Promise.reject(boom), thrower(hostile({})), () => ({ then: throws })]
  app.get('/', request => {
    for (const [index, task] of tasks.entries()) {
      request.backgroundTasks.add(task)
      request.backgroundTasks.add(() => ran.push(index))
    }
    return 'answered'
  })
  await app.inject('/')
  await app.backgroundTasks.idle()
  t.same(ran, [0, 1, 2, 3, 4])
  t.match(app.backgroundTasks.stats(), { added: 10, failed: 5, completed: 5 })
})

const unreadable: [what: string, make: () => unknown][] = [
  ['whose name throws', () => Object.defineProperty(new Error('odd'), 'name', { get: throws })],
  ['whose code throws', () => Object.defineProperty(new Error('odd'), 'code', { get: throws })],
  ['that only looks like a DOMException', () => Object.create(DOMException.prototype) as unknown],
  ['that is a proxy', () => new Proxy(new Error('odd'), { get: throws })]
]

for (const [what, make] of unreadable) {
  await t.test(`an error ${what} fails its task alone, also one that is tried again`, async t => {
    const app = await makeApp(t)
    const error = make()
    for (const task of [thrower(error), async () => thrower(error)(), () => setImmediate().then(thrower(error))]) {
      const handle = app.backgroundTasks.add({ name: 'odd', retry: { attempts: 2, delay: 0 } }, task)
      const next = app.backgroundTasks.add(() => 'next')
      t.hasStrict(await handle.settled, { state: 'failed', attempts: 2 })
      t.hasStrict(await next.settled, { state: 'completed', result: 'next' })
    }
    await app.close()
    t.match(app.backgroundTasks.stats(), { added: 6, failed: 3, completed: 3, pending: 0, running: 0 })
  })
}

await t.test('a function whose name is no text, or cannot be read, is anonymous, and close() resolves', async t => {
  const app = await makeApp(t)
  const named = (descriptor: PropertyDescriptor): (() => string) => Object.defineProperty(() => 'done', 'name', descriptor)
  const odd = [named({ value: { toString: throws } }), named({ value: Symbol('s') }), named({ get: throws }), named({ value: '' })]
  for (const fn of odd) {
    for (const handle of [app.backgroundTasks.add(fn), app.backgroundTasks.add({}, fn)]) {
      t.equal(handle.name, 'anonymous')
      t.hasStrict(await handle.settled, { state: 'completed', result: 'done' })
    }
  }
  app.backgroundTasks.add(odd[0]!)
  await app.close()
  t.match(app.backgroundTasks.stats(), { added: 9, completed: 9 })
})
