import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import type { TaskHandle } from '../../types/index.ts'
import { makeApp } from '../helpers/app.ts'
import { latch } from '../helpers/latch.ts'
import { LogLines } from '../helpers/log-lines.ts'
import { fakeTimers, turns } from '../helpers/timers.ts'

await t.test('close() waits for what runs and for what waits', async t => {
  const app = await makeApp(t, { concurrency: 1 })
  await app.ready()
  const handles = [1, 2, 3].map(() => app.backgroundTasks.add(() => turns()))
  await app.close()
  t.same(handles.map(({ state }) => state), ['completed', 'completed', 'completed'])
})

await t.test('close() waits for the tasks of a request that is still under way', async t => {
  const app = await makeApp(t)
  const received = latch<TaskHandle>()
  const free = latch()
  app.get('/', async request => {
    received.open(request.backgroundTasks.add(() => turns()))
    await free.opened
    return 'answered'
  })
  const response = app.inject('/')
  const handle = await received.opened
  const closed = app.close()
  await turns(20)
  t.equal(handle.state, 'pending')
  free.open()
  await closed
  t.equal(handle.state, 'completed')
  t.equal((await response).statusCode, 200)
})

await t.test('close() waits for tasks that tasks add', async t => {
  const app = await makeApp(t)
  await app.ready()
  let ran = 0
  const add = (): void => {
    app.backgroundTasks.add(async () => {
      await setImmediate()
      if (++ran < 10) add()
    })
  }
  add()
  await app.close()
  t.equal(ran, 10)
})

await t.test('close() waits for a task that is added just after the last one has ended', async t => {
  const app = await makeApp(t)
  await app.ready()
  const first = app.backgroundTasks.add(() => turns())
  const second = first.settled
    .then(() => new Promise<void>(resolve => process.nextTick(resolve)))
    .then(() => app.backgroundTasks.add(() => 'done'))
  await app.close()
  t.equal((await second).state, 'completed')
})

await t.test('a retry that waits is tried at once, and for the last time', async t => {
  fakeTimers(t)
  const app = await makeApp(t)
  await app.ready()
  const fail = (): never => { throw new Error('failed') }
  const failing = app.backgroundTasks.add({ retry: { attempts: 9, delay: 80_000_000 } }, fail)
  const healing = app.backgroundTasks.add({ retry: { attempts: 9, delay: 80_000_000 } }, ({ attempt }) => attempt === 1 ? fail() : 'done')
  await turns()
  t.same([failing.state, healing.state], ['retrying', 'retrying'])
  await app.close()
  t.hasStrict(await failing.settled, { state: 'failed', attempts: 2 })
  t.hasStrict(await healing.settled, { state: 'completed', attempts: 2 })
})

await t.test('a task that fails during the drain is not retried', async t => {
  const app = await makeApp(t)
  await app.ready()
  const handle = app.backgroundTasks.add({ retry: {} }, async () => {
    await turns(20)
    throw new Error('failed')
  })
  await app.close()
  t.hasStrict(await handle.settled, { state: 'failed', attempts: 1 })
})

await t.test('a task that is added after close() is lost', async t => {
  const lines = new LogLines('error')
  const lost: unknown[] = []
  const app = await makeApp(t, { hooks: { onTaskLost: ({ name, reason }) => lost.push([name, reason]) } }, { logger: lines.logger })
  await app.close()
  const handle = app.backgroundTasks.add({ name: 'late' }, () => t.fail('ran'))
  t.equal(handle.state, 'lost')
  t.match(await handle.settled, { state: 'lost', attempts: 0, reason: 'closed', error: { code: 'FST_ERR_BGT_CLOSED', statusCode: 503, message: 'Task "late" was added after the server had closed' } })
  t.same(lost, [['late', 'closed']])
  t.match(lines.ofTasks, [{ msg: 'background task lost', task: 'late', reason: 'closed', err: { code: 'FST_ERR_BGT_CLOSED' } }])
  await setImmediate()
  t.equal(app.backgroundTasks.stats().lost, 1)
})

await t.test('bad arguments are refused after close() too', async t => {
  const app = await makeApp(t)
  await app.close()
  t.throws(() => app.backgroundTasks.add('late' as never), { code: 'FST_ERR_BGT_INVALID_TASK' })
  t.equal(app.backgroundTasks.stats().added, 0)
})

await t.test('close() waits for hooks under way, whatever becomes of them', async t => {
  const events: string[] = []
  const app = await makeApp(t, {
    hooks: {
      async onTaskCompleted () {
        await turns(20)
        events.push('hook')
        throw new Error('failed')
      },
      onShutdown: () => { events.push('shut down') }
    }
  })
  await app.ready()
  app.backgroundTasks.add(() => {})
  await app.close()
  t.same(events, ['hook', 'shut down'])
})

await t.test('a failing task does not make close() fail', async t => {
  const app = await makeApp(t)
  await app.ready()
  app.backgroundTasks.add(() => Promise.reject(new Error('failed')))
  await t.resolves(app.close())
})
