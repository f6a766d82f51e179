import { AsyncLocalStorage } from 'node:async_hooks'
import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import type { TaskHandle } from '../../types/index.ts'
import { makeApp } from '../helpers/app.ts'
import { latch } from '../helpers/latch.ts'
import { fakeTimers, turns } from '../helpers/timers.ts'

await t.test('a task that returns or resolves is completed with its result', async t => {
  const app = await makeApp(t)
  t.same(await app.backgroundTasks.add(() => 1).settled, { state: 'completed', attempts: 1, result: 1 })
  t.same(await app.backgroundTasks.add(() => Promise.resolve(2)).settled, { state: 'completed', attempts: 1, result: 2 })
  t.same(await app.backgroundTasks.add(() => {}).settled, { state: 'completed', attempts: 1, result: undefined })
})

await t.test('a task that outlives its timeout fails, and its signal aborts with the same error', async t => {
  const timers = fakeTimers(t)
  const app = await makeApp(t)
  const aborted = latch<unknown>()
  const handle = app.backgroundTasks.add({ name: 'slow', timeout: 50 }, ({ signal }) => new Promise(resolve => {
    signal.addEventListener('abort', () => {
      aborted.open(signal.reason)
      resolve('too late')
    })
  }))
  await turns()
  timers.tick(49)
  t.equal(handle.state, 'running')
  timers.tick(1)
  const outcome = await handle.settled
  t.match(outcome, { state: 'failed', attempts: 1, error: { code: 'FST_ERR_BGT_TIMEOUT', message: 'Task "slow" took longer than 50 ms' } })
  t.equal(await aborted.opened, outcome.state === 'failed' && outcome.error)
})

await t.test('a signal that is first read after the timeout is aborted', async t => {
  const app = await makeApp(t)
  const free = latch()
  const read = latch<AbortSignal>()
  const handle = app.backgroundTasks.add({ timeout: 1 }, async context => {
    await free.opened
    read.open(context.signal)
    t.equal(context.signal, context.signal)
  })
  await handle.settled
  free.open()
  const signal = await read.opened
  t.ok(signal.aborted)
  t.match(signal.reason, { code: 'FST_ERR_BGT_TIMEOUT' })
})

for (const [what, end] of [['returns', () => {}], ['throws', () => { throw new Error('too late') }]] as const) {
  await t.test(`a task that ignores its timeout is counted as abandoned until it ${what}`, async t => {
    const app = await makeApp(t)
    const free = latch()
    const handle = app.backgroundTasks.add({ timeout: 1 }, () => free.opened.then(end))
    const outcome = await handle.settled
    t.match(app.backgroundTasks.stats(), { running: 0, failed: 1, abandoned: 1 })
    free.open()
    await setImmediate()
    t.match(app.backgroundTasks.stats(), { running: 0, failed: 1, abandoned: 0 })
    t.equal(await handle.settled, outcome)
  })
}

await t.test('a timeout lets the next task of the request go, and its slot with it', async t => {
  const app = await makeApp(t, { concurrency: 1 })
  const free = latch()
  const next = latch()
  app.get('/', request => {
    request.backgroundTasks.add({ timeout: 1 }, () => free.opened)
    request.backgroundTasks.add(next.open)
    return 'answered'
  })
  await app.inject('/')
  await next.opened
  t.equal(app.backgroundTasks.stats().abandoned, 1)
  free.open()
})

await t.test('timeout 0 is no limit', async t => {
  const timers = fakeTimers(t)
  const app = await makeApp(t)
  const free = latch()
  const handle = app.backgroundTasks.add({ timeout: 0 }, () => free.opened)
  await turns()
  timers.tick(2 ** 31 - 1)
  t.equal(handle.state, 'running')
  free.open()
  t.hasStrict(await handle.settled, { state: 'completed' })
})

await t.test('the timeout of the plugin, of the definition and of the add: the nearest wins', async t => {
  const timers = fakeTimers(t)
  const app = await makeApp(t, { timeout: 30 })
  const free = latch()
  const handles = [
    app.backgroundTasks.add(() => free.opened),
    app.backgroundTasks.add({ timeout: 20 }, () => free.opened),
    app.backgroundTasks.add({ timeout: 40 }, () => free.opened)
  ]
  const states = async (ms: number): Promise<string[]> => {
    timers.tick(ms)
    await turns()
    return handles.map(({ state }) => state)
  }
  await turns()
  t.same(await states(20), ['running', 'failed', 'running'])
  t.same(await states(10), ['failed', 'failed', 'running'])
  t.same(await states(10), ['failed', 'failed', 'failed'])
  free.open()
})

await t.test('each attempt has the whole timeout, and an abandoned one does not end the next', async t => {
  const timers = fakeTimers(t)
  const app = await makeApp(t)
  const ends = [latch(), latch()]
  const handle = app.backgroundTasks.add({ timeout: 50, retry: { attempts: 2, delay: 0 } }, ({ attempt }) => ends[attempt - 1]!.opened.then(() => attempt))
  await turns()
  timers.tick(50)
  t.equal(handle.state, 'retrying')
  timers.tick(1)
  await turns()
  t.equal(handle.state, 'running')
  ends[0]!.open()
  await turns()
  t.equal(handle.state, 'running')
  t.match(app.backgroundTasks.stats(), { running: 1, abandoned: 0 })
  timers.tick(49)
  ends[1]!.open()
  t.same(await handle.settled, { state: 'completed', attempts: 2, result: 2 })
})

await t.test('a task that ends in time leaves no timer behind', async t => {
  const timers = fakeTimers(t)
  const app = await makeApp(t)
  const free = latch()
  const handle = app.backgroundTasks.add({ timeout: 50 }, () => free.opened)
  await turns()
  free.open()
  await handle.settled
  timers.tick(50)
  t.match(app.backgroundTasks.stats(), { completed: 1, failed: 0, abandoned: 0 })
})

await t.test('the context tells the task about itself, and nothing about the request but its id', async t => {
  const app = await makeApp(t)
  const read = latch<{ keys: string[], id: string, name: string, attempt: number, requestId: string | undefined }>()
  let requestId: string | undefined
  let handle: TaskHandle | undefined
  app.get('/', request => {
    requestId = request.id
    handle = request.backgroundTasks.add({ name: 'curious' }, context => {
      const { id, name, attempt, requestId } = context
      read.open({ keys: Object.keys(context), id, name, attempt, requestId })
    })
    return 'answered'
  })
  await app.inject('/')
  const { keys, ...told } = await read.opened
  t.same(told, { id: handle?.id, name: 'curious', attempt: 1, requestId })
  t.notOk(keys.includes('request') || keys.includes('reply'))
  t.equal(await app.backgroundTasks.add({}, context => context.requestId === undefined).settled.then(o => o.state === 'completed' && o.result), true)
})

await t.test('a signal tells its listeners in the async context of the add', async t => {
  const timers = fakeTimers(t)
  const app = await makeApp(t)
  const storage = new AsyncLocalStorage<string>()
  const seen: unknown[] = []
  const handles = ['expired', 'cancelled'].map(name => storage.run(name, () =>
    app.backgroundTasks.add({ timeout: 50 }, ({ signal }) => new Promise(resolve => {
      signal.addEventListener('abort', () => {
        seen.push(storage.getStore())
        resolve(undefined)
      })
    }))))
  await turns()
  handles[1]!.cancel()
  timers.tick(50)
  await app.backgroundTasks.idle()
  t.same(seen, ['cancelled', 'expired'])
})

await t.test('what an attempt sets by enterWith does not show in the next', async t => {
  const storage = new AsyncLocalStorage<string>()
  const app = await makeApp(t)
  const seen: unknown[] = []
  const handle = storage.run('of the add', () => app.backgroundTasks.add({ retry: { attempts: 3, delay: 0 } }, async ({ attempt }) => {
    seen.push(storage.getStore())
    storage.enterWith(`of attempt ${attempt}`)
    await setImmediate()
    seen.push(storage.getStore())
    if (attempt < 3) throw new Error('again')
  }))
  t.hasStrict(await handle.settled, { state: 'completed', attempts: 3 })
  t.same(seen, ['of the add', 'of attempt 1', 'of the add', 'of attempt 2', 'of the add', 'of attempt 3'])
})

await t.test('what a synchronous attempt sets by enterWith does not show in the next', async t => {
  const storage = new AsyncLocalStorage<string>()
  const app = await makeApp(t)
  const seen: unknown[] = []
  await storage.run('of the add', () => app.backgroundTasks.add({ retry: { attempts: 2, delay: 0 } }, ({ attempt }) => {
    seen.push(storage.getStore())
    storage.enterWith(`of attempt ${attempt}`)
    throw new Error('again')
  })).settled
  t.same(seen, ['of the add', 'of the add'])
})
