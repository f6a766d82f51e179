import t, { type Test } from 'tap'
import type { RetryOptions, TaskHandle } from '../../types/index.ts'
import { makeApp } from '../helpers/app.ts'
import { latch } from '../helpers/latch.ts'
import { fakeTimers, passTimeUntil, turns } from '../helpers/timers.ts'

/** The waits between the attempts of a task that always fails. */
async function delaysOf (t: Test, retry: RetryOptions): Promise<number[]> {
  fakeTimers(t)
  const delays: number[] = []
  const app = await makeApp(t, { hooks: { onTaskRetry: ({ delay }) => delays.push(delay) } })
  await passTimeUntil(app.backgroundTasks.add({ retry }, fail).settled)
  return delays
}

function fail (): never {
  throw new Error('failed')
}

await t.test('a task without retry runs once', async t => {
  const app = await makeApp(t)
  t.hasStrict(await app.backgroundTasks.add(fail).settled, { state: 'failed', attempts: 1 })
})

await t.test('by default a retried task runs three times, about 1 and 2 seconds apart', async t => {
  const [first, second, ...more] = await delaysOf(t, {})
  t.same(more, [])
  t.ok(first! > 800 && first! <= 1_000, `${first}`)
  t.ok(second! > 1_600 && second! <= 2_000, `${second}`)
})

await t.test('a fixed backoff waits the same each time', async t => {
  t.same(await delaysOf(t, { attempts: 4, delay: 70, backoff: 'fixed', jitter: 0 }), [70, 70, 70])
})

await t.test('an exponential backoff doubles each time', async t => {
  t.same(await delaysOf(t, { attempts: 5, delay: 10, jitter: 0 }), [10, 20, 40, 80])
})

await t.test('no wait is longer than maxDelay', async t => {
  t.same(await delaysOf(t, { attempts: 5, delay: 10, maxDelay: 25, jitter: 0 }), [10, 20, 25, 25])
})

await t.test('a wait is 300,000 ms at the most by default', async t => {
  t.same(await delaysOf(t, { attempts: 3, delay: 200_000, jitter: 0 }), [200_000, 300_000])
})

await t.test('after a hundred attempts the wait still is a number', async t => {
  const delays = await delaysOf(t, { attempts: 100, delay: 1, maxDelay: 4, jitter: 0 })
  t.equal(delays.length, 99)
  t.equal(delays.at(-1), 4)
})

await t.test('jitter takes a random share off', async t => {
  const delays = await delaysOf(t, { attempts: 21, delay: 100, backoff: 'fixed', jitter: 1 })
  t.ok(delays.every(delay => delay >= 0 && delay <= 100))
  t.ok(new Set(delays).size > 1)
})

await t.test('without a delay the next attempt still is a turn of its own', async t => {
  t.same(await delaysOf(t, { attempts: 3, delay: 0 }), [0, 0])
})

await t.test('an attempt that succeeds is the last', async t => {
  fakeTimers(t)
  const app = await makeApp(t)
  const handle = app.backgroundTasks.add({ retry: { attempts: 5 } }, ({ attempt }) => attempt < 3 ? fail() : attempt)
  t.same(await passTimeUntil(handle.settled), { state: 'completed', attempts: 3, result: 3 })
})

await t.test('an attempt that times out is retried', async t => {
  fakeTimers(t)
  const app = await makeApp(t)
  const never = latch()
  const handle = app.backgroundTasks.add({ timeout: 50, retry: { attempts: 2 } }, ({ attempt }) => attempt === 1 ? never.opened : 'done')
  t.same(await passTimeUntil(handle.settled), { state: 'completed', attempts: 2, result: 'done' })
  never.open()
})

await t.test('the next attempt starts when the wait is over, and not before', async t => {
  const timers = fakeTimers(t)
  const app = await makeApp(t)
  const handle = app.backgroundTasks.add({ retry: { attempts: 2, delay: 500, jitter: 0 } }, ({ attempt }) => attempt === 1 ? fail() : 'done')
  await turns()
  t.equal(handle.state, 'retrying')
  timers.tick(499)
  await turns()
  t.equal(handle.state, 'retrying')
  timers.tick(1)
  t.hasStrict(await handle.settled, { state: 'completed' })
})

await t.test('a waiting retry holds its lane, but no slot', async t => {
  const timers = fakeTimers(t)
  const app = await makeApp(t, { concurrency: 1 })
  const ran: string[] = []
  app.get('/', request => {
    request.backgroundTasks.add({ retry: { attempts: 2, delay: 500 } }, ({ attempt }) => {
      ran.push(`attempt ${attempt}`)
      if (attempt === 1) fail()
    })
    request.backgroundTasks.add(() => ran.push('next of the request'))
    return 'answered'
  })
  await app.inject('/')
  await turns()
  t.match(app.backgroundTasks.stats(), { running: 0, pending: 2, retrying: 1 })
  t.hasStrict(await app.backgroundTasks.add(() => ran.push('another')).settled, { state: 'completed' })
  t.same(ran, ['attempt 1', 'another'])
  timers.tick(500)
  await app.backgroundTasks.idle()
  t.same(ran, ['attempt 1', 'another', 'attempt 2', 'next of the request'])
})

await t.test('a task added while a retry of its request waits comes after it', async t => {
  const timers = fakeTimers(t)
  const app = await makeApp(t)
  const ran: string[] = []
  const add = latch<() => TaskHandle>()
  app.get('/', request => {
    request.backgroundTasks.add({ retry: { attempts: 2, delay: 500 } }, ({ attempt }) => {
      ran.push(`attempt ${attempt}`)
      if (attempt === 1) fail()
    })
    add.open(() => request.backgroundTasks.add(() => ran.push('late')))
    return 'answered'
  })
  await app.inject('/')
  await turns()
  ;(await add.opened)()
  await turns()
  t.same(ran, ['attempt 1'])
  timers.tick(500)
  await app.backgroundTasks.idle()
  t.same(ran, ['attempt 1', 'attempt 2', 'late'])
})

await t.test('idle waits for retries', async t => {
  const timers = fakeTimers(t)
  const app = await makeApp(t)
  const handle = app.backgroundTasks.add({ retry: { attempts: 2, delay: 500 } }, ({ attempt }) => attempt === 1 ? fail() : 'done')
  await turns()
  const idle = app.backgroundTasks.idle()
  timers.tick(500)
  await idle
  t.equal(handle.state, 'completed')
})
