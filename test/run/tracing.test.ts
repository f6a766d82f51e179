import { AsyncLocalStorage } from 'node:async_hooks'
import { channel, type ChannelListener, tracingChannel } from 'node:diagnostics_channel'
import { setImmediate } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { makeApp } from '../helpers/app.ts'
import { latch } from '../helpers/latch.ts'

const attempts = tracingChannel('fastify-background-tasks.task')
const steps = ['start', 'end', 'asyncStart', 'asyncEnd', 'error'] as const

type Message = Record<string, unknown>

/** Listens to attempts: each step with its message, which is one object for all the steps of an attempt. */
function listen (t: Test): [step: string, message: Message][] {
  const heard: [string, Message][] = []
  for (const step of steps) {
    const listener: ChannelListener = message => heard.push([step, message as Message])
    // By the name that the documentation gives.
    const named = channel(`tracing:fastify-background-tasks.task:${step}`)
    named.subscribe(listener)
    t.teardown(() => named.unsubscribe(listener))
  }
  return heard
}

function listenToOutcomes (t: Test, listener: (message: Message) => void): void {
  const outcomes = channel('fastify-background-tasks.outcome')
  const heard: ChannelListener = message => listener(message as Message)
  outcomes.subscribe(heard)
  t.teardown(() => outcomes.unsubscribe(heard))
}

const boom = new Error('boom')
const ways: [what: string, task: () => unknown, ends: { result: unknown } | { error: unknown }][] = [
  ['a synchronous task', () => 'done', { result: 'done' }],
  ['an asynchronous task', () => setImmediate('done'), { result: 'done' }],
  ['a task that rejects', () => setImmediate().then(() => { throw boom }), { error: boom }],
  ['a task that throws', () => { throw boom }, { error: boom }],
  ['a task that returns a thenable', () => ({ then: (resolve: (value: string) => void) => resolve('done') }), { result: 'done' }]
]

for (const [what, task, ends] of ways) {
  await t.test(`${what} is a traced operation`, async t => {
    const heard = listen(t)
    const app = await makeApp(t)
    const handle = app.backgroundTasks.add({ name: 'mail' }, task)
    const outcome = await handle.settled
    t.match(outcome, { attempts: 1, ...ends })
    const [, message] = heard[0]!
    t.same(message, { id: handle.id, name: 'mail', attempt: 1, requestId: undefined, ...ends })
    t.ok(heard.every(([, other]) => other === message), 'one message for all steps')
    const told = heard.map(([step]) => step)
    t.equal(told[0], 'start')
    t.ok(told.includes('end'))
    t.equal(told.includes('error'), 'error' in ends)
    if (what !== 'a task that throws') t.same(told.filter(step => step.startsWith('async')), ['asyncStart', 'asyncEnd'])
  })
}

await t.test('Node has nothing to say against how synchronous tasks are traced', async t => {
  listen(t)
  const warnings: Error[] = []
  const warned = (warning: Error): void => { warnings.push(warning) }
  process.on('warning', warned)
  t.teardown(() => process.off('warning', warned))
  const app = await makeApp(t)
  await app.backgroundTasks.add(() => 'done').settled
  await setImmediate()
  t.same(warnings, [])
})

await t.test('each attempt is an operation of its own, with the id of its request', async t => {
  const heard = listen(t)
  const app = await makeApp(t, {}, { genReqId: () => 'request-7' })
  app.get('/', request => {
    request.backgroundTasks.add({ name: 'flaky', retry: { attempts: 2, delay: 0 } }, ({ attempt }) => {
      if (attempt === 1) throw boom
    })
    return 'answered'
  })
  await app.inject('/')
  await app.backgroundTasks.idle()
  const starts = heard.filter(([step]) => step === 'start')
  t.match(starts, [
    ['start', { name: 'flaky', attempt: 1, requestId: 'request-7', error: boom }],
    ['start', { name: 'flaky', attempt: 2, requestId: 'request-7' }]
  ])
  t.equal(starts.length, 2)
})

await t.test('a store bound to the start is there in the task, beside that of the add', async t => {
  const spans = new AsyncLocalStorage<string>()
  const tenants = new AsyncLocalStorage<string>()
  attempts.start.bindStore(spans, message => `span of ${(message as Message)['name'] as string}`)
  t.teardown(() => attempts.start.unbindStore(spans))
  const app = await makeApp(t)
  const thrown = latch()
  const seen: unknown[] = []
  const see = (): void => { seen.push([tenants.getStore(), spans.getStore()]) }
  tenants.run('acme', () => {
    app.backgroundTasks.add(function sync () { see() })
    app.backgroundTasks.add(async function later () {
      see()
      await thrown.opened
      see()
    })
    app.backgroundTasks.add(function thrower () {
      see()
      thrown.open()
      throw boom
    })
  })
  await app.backgroundTasks.idle()
  // Which of the two goes on first depends on how long a turn takes.
  const expected = ['sync', 'later', 'later', 'thrower'].map(name => ['acme', `span of ${name}`])
  t.same(seen.toSorted(), expected.toSorted())
})

await t.test('timeouts, retries and results are the same for a traced task', async t => {
  listen(t)
  const app = await makeApp(t)
  const list = (...args: unknown[]): unknown[] => args
  t.match(await app.backgroundTasks.add({ timeout: 1 }, () => new Promise(() => {})).settled, { state: 'failed', error: { code: 'FST_ERR_BGT_TIMEOUT' } })
  t.match(await app.backgroundTasks.add(() => Promise.reject(boom)).settled, { state: 'failed', error: boom })
  t.same(await app.backgroundTasks.add(list, 1, 2).settled, { state: 'completed', attempts: 1, result: [1, 2] })
})

await t.test('the outcome of each task is published once', async t => {
  const heard: Message[] = []
  listenToOutcomes(t, message => heard.push(message))
  const app = await makeApp(t, {}, { genReqId: () => 'request-7' })
  app.get('/', request => {
    request.backgroundTasks.add({ name: 'skipped', when: 'error' }, () => {})
    request.backgroundTasks.add({ name: 'cancelled' }, () => {}).cancel()
    request.backgroundTasks.add({ name: 'completed' }, () => 'done')
    request.backgroundTasks.add({ name: 'failed', retry: { attempts: 2, delay: 0 } }, () => { throw boom })
    return 'answered'
  })
  await app.inject('/')
  const { id, settled } = app.backgroundTasks.add({ name: 'outside' }, () => {})
  const outcome = await settled
  await app.backgroundTasks.idle()
  await app.close()
  app.backgroundTasks.add({ name: 'lost' }, () => {})

  const told = heard.map(({ name, requestId, outcome }) => [name, (outcome as { state: string }).state, requestId])
  t.same(told.toSorted(), [
    ['cancelled', 'cancelled', 'request-7'],
    ['completed', 'completed', 'request-7'],
    ['failed', 'failed', 'request-7'],
    ['lost', 'lost', undefined],
    ['outside', 'completed', undefined],
    ['skipped', 'skipped', 'request-7']
  ])
  t.same(heard.find(({ name }) => name === 'outside'), { id, name: 'outside', requestId: undefined, outcome })
})

await t.test('an outcome is published in the async context of the add', async t => {
  const storage = new AsyncLocalStorage<string>()
  const seen: unknown[] = []
  listenToOutcomes(t, ({ name }) => seen.push(`${name as string} ${storage.getStore()}`))
  const app = await makeApp(t)
  storage.run('acme', () => {
    app.backgroundTasks.add(function sync () {})
    app.backgroundTasks.add(function later () { return setImmediate() })
  })
  await app.backgroundTasks.idle()
  t.same(seen, ['sync acme', 'later acme'])
})

await t.test('a subscriber that comes late hears of the next attempt', async t => {
  const app = await makeApp(t)
  await app.backgroundTasks.add(() => {}).settled
  const heard = listen(t)
  await app.backgroundTasks.add(function late () {}).settled
  t.match(heard[0], ['start', { name: 'late', attempt: 1 }])
})
