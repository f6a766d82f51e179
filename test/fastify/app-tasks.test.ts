import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { makeApp } from '../helpers/app.ts'
import { latch } from '../helpers/latch.ts'
import { fakeTimers, turns } from '../helpers/timers.ts'

await t.test('idle resolves at once where there is nothing to do', async t => {
  const app = await makeApp(t)
  t.equal(await app.backgroundTasks.idle(), undefined)
  t.equal(await app.backgroundTasks.idle({ timeout: 1_000 }), undefined)
  t.equal(await app.backgroundTasks.idle({}), undefined)
  t.equal(await app.backgroundTasks.idle({ timeout: undefined } as never), undefined)
})

await t.test('idle waits for what runs and for what waits, for all that ask', async t => {
  const app = await makeApp(t, { concurrency: 1 })
  const free = latch()
  let ran = 0
  app.backgroundTasks.add(() => free.opened.then(() => { ran++ }))
  app.backgroundTasks.add(() => { ran++ })
  const idle = [app.backgroundTasks.idle(), app.backgroundTasks.idle(), app.backgroundTasks.idle({ timeout: 10_000 })]
  await turns()
  t.equal(ran, 0)
  free.open()
  await Promise.all(idle)
  t.equal(ran, 2)
})

await t.test('idle waits for the tasks of requests under way', async t => {
  const app = await makeApp(t)
  const added = latch()
  const free = latch()
  let ran = false
  app.get('/', async request => {
    request.backgroundTasks.add(() => { ran = true })
    added.open()
    await free.opened
    return 'answered'
  })
  const response = app.inject('/')
  await added.opened
  const idle = app.backgroundTasks.idle()
  await turns()
  t.equal(ran, false)
  free.open()
  await idle
  t.equal(ran, true)
  await response
})

await t.test('idle waits for tasks that tasks add', async t => {
  const app = await makeApp(t)
  let ran = 0
  const add = (): void => {
    app.backgroundTasks.add(() => { if (++ran < 5) add() })
  }
  add()
  await app.backgroundTasks.idle()
  t.equal(ran, 5)
})

await t.test('idle waits again', async t => {
  const app = await makeApp(t)
  for (const result of [1, 2]) {
    const handle = app.backgroundTasks.add(() => result)
    await app.backgroundTasks.idle()
    t.equal(handle.state, 'completed')
  }
})

await t.test('idle gives up after its timeout, and says what it was waiting for', async t => {
  const timers = fakeTimers(t)
  const app = await makeApp(t, { concurrency: 2 })
  const free = latch()
  for (let n = 0; n < 5; n++) app.backgroundTasks.add(() => free.opened)
  await turns()
  const idle = app.backgroundTasks.idle({ timeout: 200 })
  timers.tick(200)
  await t.rejects(idle, { code: 'FST_ERR_BGT_IDLE_TIMEOUT', message: 'Not idle after 200 ms: 3 tasks pending, 2 running' })
  free.open()
  await app.backgroundTasks.idle({ timeout: 200 })
})

await t.test('an idle that gives up leaves nothing behind', async t => {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as () => void
  const { backgroundTasks } = await makeApp(t)
  const free = latch()
  backgroundTasks.add(() => free.opened)
  const giveUp = async (times: number): Promise<void> => {
    for (let n = 0; n < times; n += 100) {
      await Promise.allSettled(Array.from({ length: 100 }, () => backgroundTasks.idle({ timeout: 0 })))
    }
  }
  const used = (): number => {
    gc()
    return process.memoryUsage().heapUsed
  }
  await giveUp(1_000)
  const before = used()
  await giveUp(5_000)
  const grown = used() - before
  t.ok(grown < 1_500_000, `${grown} bytes, where each of 5,000 left 0.9 kB`)
  free.open()
  await backgroundTasks.idle()
})

await t.test('idle refuses what it does not know', async t => {
  const app = await makeApp(t)
  const refused: [options: unknown, message: string][] = [
    [{ timeout: -1 }, 'Invalid options/timeout: Expected number to be greater or equal to 0, got -1'],
    [{ timeout: NaN }, 'Invalid options/timeout: Expected number, got NaN'],
    [{ timeout: Infinity }, 'Invalid options/timeout: Expected number, got Infinity'],
    [{ timeout: '1s' }, 'Invalid options/timeout: Expected number, got a string'],
    [{ timeOut: 1 }, 'Invalid options/timeOut: Unexpected property'],
    [100, 'Invalid options: Expected object, got 100'],
    [null, 'Invalid options: Expected object, got null']
  ]
  for (const [options, message] of refused) {
    await t.rejects(app.backgroundTasks.idle(options as never), { code: 'FST_ERR_BGT_INVALID_OPTIONS', message })
  }
})

await t.test('a task outside of a request runs whatever its policy says', async t => {
  const app = await makeApp(t, { when: 'error' })
  for (const when of ['success', 'error', 'always'] as const) {
    t.hasStrict(await app.backgroundTasks.add({ when }, () => when).settled, { state: 'completed', result: when })
  }
})
