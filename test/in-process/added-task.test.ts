import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import type { TaskHandle } from '../../types/index.ts'
import { makeApp } from '../helpers/app.ts'
import { latch } from '../helpers/latch.ts'
import { fakeTimers, turns } from '../helpers/timers.ts'

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

await t.test('the id is a UUID, the same at each read and for the task itself', async t => {
  const app = await makeApp(t)
  const first = app.backgroundTasks.add({}, context => context.id)
  const second = app.backgroundTasks.add({}, context => context.id)
  t.match(first.id, UUID)
  t.equal(first.id, first.id)
  t.not(first.id, second.id)
  t.hasStrict(await first.settled, { state: 'completed', result: first.id })
  const outcome = await second.settled
  t.equal(outcome.state === 'completed' && outcome.result, second.id)
})

await t.test('settled is one promise while the task lives, and may be read first when it is over', async t => {
  const app = await makeApp(t)
  const early = app.backgroundTasks.add(() => 'done')
  const late = app.backgroundTasks.add(() => 'done')
  t.equal(early.settled, early.settled)
  const outcome = await early.settled
  t.equal(await early.settled, outcome)
  await app.backgroundTasks.idle()
  t.same(await late.settled, { state: 'completed', attempts: 1, result: 'done' })
})

await t.test('settled resolves whatever becomes of the task', async t => {
  const app = await makeApp(t)
  const failing = app.backgroundTasks.add(() => Promise.reject(new Error('failed')))
  const cancelled = app.backgroundTasks.add(() => {})
  cancelled.cancel()
  t.equal((await failing.settled).state, 'failed')
  t.equal((await cancelled.settled).state, 'cancelled')
})

await t.test('the state follows the task', async t => {
  const timers = fakeTimers(t)
  const app = await makeApp(t)
  const free = latch()
  const handle = app.backgroundTasks.add({ retry: { attempts: 2, delay: 500 } }, async ({ attempt }) => {
    if (attempt === 1) throw new Error('failed')
    await free.opened
  })
  t.equal(handle.state, 'pending')
  await turns()
  t.equal(handle.state, 'retrying')
  timers.tick(500)
  await turns()
  t.equal(handle.state, 'running')
  free.open()
  await handle.settled
  t.equal(handle.state, 'completed')
})

await t.test('a pending task that is cancelled never runs', async t => {
  const app = await makeApp(t)
  const handle = app.backgroundTasks.add({ name: 'unwanted' }, () => t.fail('ran'))
  t.equal(handle.cancel(), 'cancelled')
  t.equal(handle.state, 'cancelled')
  t.match(await handle.settled, { state: 'cancelled', attempts: 0, error: { code: 'FST_ERR_BGT_CANCELLED', message: 'Task "unwanted" was cancelled' } })
  await setImmediate()
  t.match(app.backgroundTasks.stats(), { added: 1, cancelled: 1, pending: 0 })
})

await t.test('a cancelled task leaves its place to the next of its request', async t => {
  const app = await makeApp(t)
  const ran: string[] = []
  app.get('/', request => {
    const handles = ['first', 'second', 'third', 'fourth'].map(name => request.backgroundTasks.add(() => ran.push(name)))
    handles[1]!.cancel()
    handles[3]!.cancel()
    return 'answered'
  })
  await app.inject('/')
  await app.backgroundTasks.idle()
  t.same(ran, ['first', 'third'])
  t.match(app.backgroundTasks.stats(), { added: 4, completed: 2, cancelled: 2 })
})

await t.test('a running task that is cancelled hears of it, and is cancelled when it throws', async t => {
  const app = await makeApp(t)
  const started = latch()
  const handle = app.backgroundTasks.add({}, ({ signal }) => new Promise((_resolve, reject) => {
    signal.onabort = () => reject(signal.reason as Error)
    started.open()
  }))
  await started.opened
  t.equal(handle.cancel(), 'running')
  t.equal(handle.state, 'running')
  t.match(await handle.settled, { state: 'cancelled', attempts: 1, error: { code: 'FST_ERR_BGT_CANCELLED' } })
})

await t.test('a running task that ignores that it is cancelled is completed', async t => {
  const app = await makeApp(t)
  const free = latch()
  const handle = app.backgroundTasks.add(() => free.opened)
  await setImmediate()
  t.equal(handle.cancel(), 'running')
  t.equal(handle.cancel(), 'running')
  free.open()
  t.hasStrict(await handle.settled, { state: 'completed' })
})

await t.test('a cancelled task is not retried, and its outcome tells what it threw', async t => {
  const app = await makeApp(t)
  const error = new Error('interrupted')
  const free = latch()
  const handle = app.backgroundTasks.add({ retry: {} }, () => free.opened.then(() => { throw error }))
  await setImmediate()
  handle.cancel()
  free.open()
  t.match(await handle.settled, { state: 'cancelled', attempts: 1, error })
})

await t.test('a cancelled task that does not end is cancelled at its timeout, and abandoned', async t => {
  const timers = fakeTimers(t)
  const app = await makeApp(t)
  const free = latch()
  const handle = app.backgroundTasks.add({ timeout: 50 }, () => free.opened)
  await turns()
  handle.cancel()
  timers.tick(50)
  t.equal(handle.state, 'cancelled')
  t.match(app.backgroundTasks.stats(), { cancelled: 1, abandoned: 1 })
  free.open()
})

await t.test('a task that waits for its retry and is cancelled never runs again', async t => {
  const timers = fakeTimers(t)
  const app = await makeApp(t)
  const ran: string[] = []
  let handle: TaskHandle | undefined
  app.get('/', request => {
    handle = request.backgroundTasks.add({ retry: { delay: 500 } }, ({ attempt }) => {
      ran.push(`attempt ${attempt}`)
      throw new Error('failed')
    })
    request.backgroundTasks.add(() => ran.push('next'))
    return 'answered'
  })
  await app.inject('/')
  await turns()
  t.equal(handle?.cancel(), 'cancelled')
  t.match(await handle?.settled, { state: 'cancelled', attempts: 1, error: { code: 'FST_ERR_BGT_CANCELLED' } })
  await app.backgroundTasks.idle()
  timers.tick(500)
  await turns()
  t.same(ran, ['attempt 1', 'next'])
})

await t.test('a task that is over cannot be cancelled', async t => {
  const app = await makeApp(t)
  const handle = app.backgroundTasks.add(() => 'done')
  const outcome = await handle.settled
  t.equal(handle.cancel(), 'finished')
  t.equal(await handle.settled, outcome)
  const cancelled = app.backgroundTasks.add(() => {})
  cancelled.cancel()
  t.equal(cancelled.cancel(), 'finished')
  t.match(app.backgroundTasks.stats(), { added: 2, completed: 1, cancelled: 1 })
})

await t.test('a task may cancel itself', async t => {
  const app = await makeApp(t)
  const returning: TaskHandle = app.backgroundTasks.add((): unknown => returning.cancel())
  t.hasStrict(await returning.settled, { state: 'completed', result: 'running' })
  const throwing: TaskHandle = app.backgroundTasks.add({}, ({ signal }) => {
    throwing.cancel()
    signal.throwIfAborted()
  })
  t.match(await throwing.settled, { state: 'cancelled', error: { code: 'FST_ERR_BGT_CANCELLED' } })
})

await t.test('a hook at the start of a task may cancel it', async t => {
  let answer: unknown
  const app = await makeApp(t, { hooks: { onTaskStart: () => { answer = handle.cancel() } } })
  const handle: TaskHandle = app.backgroundTasks.add({}, ({ signal }) => signal.throwIfAborted())
  t.match(await handle.settled, { state: 'cancelled', error: { code: 'FST_ERR_BGT_CANCELLED' } })
  t.equal(answer, 'running')
})

await t.test('a hook at the end of a task is too late to cancel it', async t => {
  let answer: unknown
  const app = await makeApp(t, { hooks: { onTaskCompleted: () => { answer = handle.cancel() } } })
  const handle: TaskHandle = app.backgroundTasks.add(() => 'done')
  t.hasStrict(await handle.settled, { state: 'completed' })
  t.equal(answer, 'finished')
  t.equal(handle.state, 'completed')
  t.match(app.backgroundTasks.stats(), { added: 1, completed: 1, cancelled: 0 })
})

await t.test('a hook at a retry may cancel the task', async t => {
  let answer: unknown
  const app = await makeApp(t, { hooks: { onTaskRetry: () => { answer = handle.cancel() } } })
  const handle: TaskHandle = app.backgroundTasks.add({ retry: {} }, () => { throw new Error('failed') })
  t.hasStrict(await handle.settled, { state: 'cancelled', attempts: 1 })
  t.equal(answer, 'cancelled')
})

await t.test('a route may answer with a handle', async t => {
  const app = await makeApp(t)
  app.get('/', request => request.backgroundTasks.add({ name: 'mail' }, () => {}))
  const response = await app.inject('/')
  t.equal(response.statusCode, 200)
  t.match(response.json(), { name: 'mail', state: 'pending', id: UUID })
})
