import { request } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { defineTask } from '../lib/index.ts'
import type { BackgroundTasksOptions, TaskHandle } from '../types/index.ts'
import { makeApp } from './helpers/app.ts'
import { latch } from './helpers/latch.ts'
import { fakeTimers, passTimeUntil, turns } from './helpers/timers.ts'

const unset = {
  concurrency: undefined,
  maxPending: undefined,
  overflow: undefined,
  timeout: undefined,
  when: undefined,
  drainTimeout: undefined,
  abortGrace: undefined,
  tasks: undefined,
  hooks: undefined
}

// An explicit undefined is what `{ timeout: process.env.X && Number(process.env.X) }` comes to.
for (const [given, options] of [['left out', {}], ['undefined', unset as unknown as BackgroundTasksOptions]] as const) {
  await t.test(`concurrency is 100 when ${given}`, async t => {
    const app = await makeApp(t, options)
    const end = latch()
    for (let n = 0; n < 101; n++) app.backgroundTasks.add(() => end.opened)
    while (app.backgroundTasks.stats().running < 100) await turns(1)
    await turns()
    const { running, pending } = app.backgroundTasks.stats()
    t.same({ running, pending }, { running: 100, pending: 1 })
    end.open()
    await app.backgroundTasks.idle()
  })

  await t.test(`maxPending is 10,000 and overflow is reject when ${given}`, async t => {
    const app = await makeApp(t, options)
    const add = (): TaskHandle => app.backgroundTasks.add(() => {})
    for (let n = 0; n < 10_000; n++) add()
    t.throws(add, { code: 'FST_ERR_BGT_OVERFLOW', statusCode: 503 })
    await app.backgroundTasks.idle()
  })

  await t.test(`timeout is 30,000 ms when ${given}`, async t => {
    const timers = fakeTimers(t)
    const app = await makeApp(t, options)
    const end = latch()
    const handle = app.backgroundTasks.add(() => end.opened)
    await turns()
    timers.tick(29_999)
    t.equal(handle.state, 'running')
    timers.tick(1)
    t.equal(handle.state, 'failed')
    end.open()
  })

  await t.test(`when is success when ${given}`, async t => {
    const app = await makeApp(t, options)
    let handle: TaskHandle | undefined
    app.get('/', request => {
      handle = request.backgroundTasks.add(() => {})
      throw new Error('handler failed')
    })
    await app.inject('/')
    t.hasStrict(await handle?.settled, { state: 'skipped', reason: 'errored' })
  })

  await t.test(`drainTimeout is 8,000 ms when ${given}`, async t => {
    const timers = fakeTimers(t)
    const app = await makeApp(t, options)
    await app.ready()
    const retried = latch()
    // Not waiting for its retry any longer tells that the drain has begun.
    app.backgroundTasks.add({ retry: { attempts: 2 } }, ({ attempt, signal }) => {
      if (attempt === 1) throw new Error('first attempt')
      retried.open()
      return new Promise((_resolve, reject) => { signal.onabort = () => reject(signal.reason as Error) })
    })
    const handle = app.backgroundTasks.add({}, ({ signal }) =>
      new Promise((_resolve, reject) => { signal.onabort = () => reject(signal.reason as Error) }))
    await turns()
    const closed = app.close()
    await retried.opened
    timers.tick(7_999)
    await turns()
    t.equal(handle.state, 'running')
    timers.tick(1)
    t.hasStrict(await handle.settled, { state: 'lost', reason: 'shutdown', error: { code: 'FST_ERR_BGT_SHUTDOWN' } })
    await passTimeUntil(closed)
  })

  await t.test(`abortGrace is 60,000 ms when ${given}`, async t => {
    const timers = fakeTimers(t)
    const app = await makeApp(t, options)
    const received = latch<TaskHandle>()
    const gone = latch()
    const never = latch()
    app.get('/', async (request, reply) => {
      const handle = request.backgroundTasks.add(() => {})
      reply.raw.on('close', () => gone.open())
      received.open(handle)
      await never.opened
    })
    await app.listen({ host: '127.0.0.1', port: 0 })
    const client = request({ host: '127.0.0.1', port: (app.server.address() as AddressInfo).port })
    client.on('error', () => {})
    client.end()
    const handle = await received.opened
    client.destroy()
    await gone.opened
    timers.tick(59_999)
    t.equal(handle.state, 'pending')
    timers.tick(1)
    t.equal(handle.state, 'skipped')
    never.open()
  })

  await t.test(`no task is registered when ${given}`, async t => {
    const app = await makeApp(t, options)

    const task = defineTask({ name: 'unknown', run () {} })
    t.throws(() => app.backgroundTasks.add(task), { code: 'FST_ERR_BGT_TASK_NOT_REGISTERED' })
  })
}
