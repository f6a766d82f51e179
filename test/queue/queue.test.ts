import { Type } from '@sinclair/typebox'
import t, { type Test } from 'tap'
import { FST_ERR_BGT_INVALID_OPTIONS } from '../../lib/errors.ts'
import { defineTask, startWorker } from '../../lib/index.ts'
import { memory } from '../../lib/adapters/memory/index.ts'
import type { Capabilities, QueueAdapter, Schedule } from '../../types/index.ts'
import { makeApp } from '../helpers/app.ts'
import { latch } from '../helpers/latch.ts'
import { LogLines } from '../helpers/log-lines.ts'
import { fakeTimers, passTimeUntil } from '../helpers/timers.ts'
import { UnrulyAdapter } from '../helpers/unruly-adapter.ts'

const report = defineTask({ name: 'report', payload: Type.Object({ day: Type.String() }), queue: 'reports', priority: 9, version: 2, run () {} })
const sweep = defineTask({ name: 'sweep', run () {} })

class SchedulingAdapter extends UnrulyAdapter {
  readonly schedules = new Map<string, Schedule>()

  constructor (schedule: Capabilities['schedule'] = 'minute') {
    super({ schedule })
  }

  async schedule (schedule: Schedule): Promise<void> {
    if (schedule.cron === 'never') throw new FST_ERR_BGT_INVALID_OPTIONS('cron', 'Expected five fields, got never')
    this.schedules.set(schedule.name, schedule)
  }

  async unschedule (name: string): Promise<boolean> {
    return this.schedules.delete(name)
  }
}

/** One whose calls go wrong as the test says. */
function broken (faults: Partial<QueueAdapter>): QueueAdapter {
  return Object.assign(new UnrulyAdapter(), faults)
}

async function closing (t: Test, close: QueueAdapter['close']): Promise<LogLines> {
  const lines = new LogLines('warn')
  const app = await makeApp(t, { adapter: broken({ close }) }, { logger: lines.logger })
  await app.ready()
  await passTimeUntil(app.close())
  return lines
}

await t.test('without an adapter, what needs one says so, and nothing is unhealthy or known', async t => {
  const app = await makeApp(t, { tasks: [sweep] })
  await app.ready()
  const { backgroundTasks } = app
  t.equal(backgroundTasks.adapter, undefined)
  const calls: Record<string, () => Promise<unknown>> = {
    enqueue: () => backgroundTasks.enqueue(sweep),
    enqueueMany: () => backgroundTasks.enqueueMany(sweep, []),
    schedule: () => backgroundTasks.schedule(sweep, { cron: '* * * * *' }),
    unschedule: () => backgroundTasks.unschedule('sweep'),
    work: () => backgroundTasks.work()
  }
  for (const [name, call] of Object.entries(calls)) {
    await t.rejects(call(), { code: 'FST_ERR_BGT_NO_ADAPTER', message: `"${name}" needs a queue adapter, and none is configured` })
  }
  t.strictSame(await backgroundTasks.health(), { ok: true, warnings: [] })
  t.equal(await backgroundTasks.status('a'), null)
  t.equal(await backgroundTasks.cancel('a'), 'not-found')
  t.equal(backgroundTasks.stats().enqueued, 0)
})

await t.test('before the application is ready the queue is not there yet', async t => {
  const app = await makeApp(t, { adapter: new UnrulyAdapter(), tasks: [sweep] })
  const { backgroundTasks } = app
  await t.rejects(backgroundTasks.enqueue(sweep), { code: 'FST_ERR_BGT_NOT_READY', statusCode: 503, message: '"enqueue" was called before the queue has been started: "await app.ready()" first' })
  await t.rejects(backgroundTasks.work(), { code: 'FST_ERR_BGT_NOT_READY' })
  t.equal(await backgroundTasks.status('a'), null)
  t.equal(await backgroundTasks.cancel('a'), 'not-found')
  t.match(await backgroundTasks.health(), { ok: false })
})

await t.test('in onStartup and in onShutdown it is there', async t => {
  const adapter = new UnrulyAdapter()
  const app = await makeApp(t, {
    adapter,
    tasks: [sweep],
    hooks: { onStartup: app => app.backgroundTasks.enqueue(sweep), onShutdown: app => app.backgroundTasks.enqueue(sweep) }
  })
  await app.ready()
  await app.close()
  t.equal(adapter.calls.length, 2)
})

await t.test('after the application has closed, enqueue says so, and that nothing was stored', async t => {
  const app = await makeApp(t, { adapter: new UnrulyAdapter(), tasks: [sweep] })
  await app.ready()
  await app.close()
  await t.rejects(app.backgroundTasks.enqueue(sweep), { code: 'FST_ERR_BGT_QUEUE_UNAVAILABLE', message: /did not answer: it is closed$/, ambiguous: false })
})

await t.test('a job is followed and cancelled by its id', async t => {
  const app = await makeApp(t, { adapter: memory(), tasks: [sweep] })
  await app.ready()
  const { backgroundTasks } = app
  const { id } = await backgroundTasks.enqueue(sweep, undefined, { delay: 60_000 })
  t.match(await backgroundTasks.status(id), { id, task: 'sweep', queue: 'default', state: 'scheduled', attempts: 0 })
  t.equal(await backgroundTasks.cancel(id), 'cancelled')
  t.match(await backgroundTasks.status(id), { state: 'cancelled' })
  t.equal(await backgroundTasks.cancel(id), 'finished')
  t.equal(await backgroundTasks.cancel('nobody'), 'not-found')
})

await t.test('a task of this process is followed and cancelled in the same way', async t => {
  const begun = latch()
  const task = defineTask({
    name: 'task',
    async run (_payload, { progress, signal }) {
      progress(50)
      begun.open()
      await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)))
    }
  })
  const app = await makeApp(t, { tasks: [task] })
  await app.ready()
  const handle = app.backgroundTasks.add(task)
  const { id } = handle
  await begun.opened
  t.match(await app.backgroundTasks.status(id), { id, task: 'task', state: 'running', attempts: 1, progress: 50 })
  t.equal(await app.backgroundTasks.cancel(id), 'running')
  await handle.settled
  t.match(await app.backgroundTasks.status(id), { state: 'cancelled', error: { code: 'FST_ERR_BGT_CANCELLED' } })
  t.equal(await app.backgroundTasks.cancel(id), 'finished')
})

await t.test('a schedule has what the task says, and can be taken back', async t => {
  const adapter = new SchedulingAdapter()
  const app = await makeApp(t, { adapter, tasks: [report, sweep], trace: { inject: () => ({ traceparent: 'mine' }) } })
  await app.ready()
  await app.backgroundTasks.schedule(report, { cron: '0 6 * * *', timezone: 'Europe/Berlin', payload: { day: 'today' }, name: 'daily' })
  await app.backgroundTasks.schedule(sweep, { cron: '* * * * *' })
  t.strictSame([...adapter.schedules.values()], [
    {
      name: 'daily',
      cron: '0 6 * * *',
      timezone: 'Europe/Berlin',
      queue: 'reports',
      task: 'report',
      data: { payload: { day: 'today' }, version: 2, trace: { traceparent: 'mine' } },
      priority: 9,
      retry: { attempts: 1, delay: 0, backoff: 'fixed', maxDelay: 0, jitter: 0 }
    },
    {
      name: 'sweep',
      cron: '* * * * *',
      queue: 'default',
      task: 'sweep',
      data: { payload: undefined, version: 1, trace: { traceparent: 'mine' } },
      priority: 50,
      retry: { attempts: 1, delay: 0, backoff: 'fixed', maxDelay: 0, jitter: 0 }
    }
  ])
  t.equal(await app.backgroundTasks.unschedule('daily'), true)
  t.equal(await app.backgroundTasks.unschedule('daily'), false)
})

await t.test('a schedule that does not fit is refused', async t => {
  const app = await makeApp(t, { adapter: new SchedulingAdapter(), tasks: [report, sweep] })
  await app.ready()
  const { backgroundTasks } = app
  await t.rejects(backgroundTasks.schedule(report, { cron: '* * * * *', payload: { day: 1 } as never }), { code: 'FST_ERR_BGT_INVALID_PAYLOAD' })
  await t.rejects(backgroundTasks.schedule(sweep, {} as never), { code: 'FST_ERR_BGT_INVALID_OPTIONS', message: /options\/cron/ })
  await t.rejects(backgroundTasks.schedule(sweep, { cron: 'never' }), { code: 'FST_ERR_BGT_INVALID_OPTIONS', message: 'Invalid cron: Expected five fields, got never' }, 'by the adapter too')
  await t.rejects(backgroundTasks.schedule(sweep, { cron: '* * * * * *' }), {
    code: 'FST_ERR_BGT_NO_CAPABILITY',
    message: 'The schedule "* * * * * *" needs an adapter with the capability "schedule by the second", which "unruly" does not have'
  })
  await t.rejects(backgroundTasks.schedule(defineTask({ name: 'other', run () {} }), { cron: '* * * * *' }), { code: 'FST_ERR_BGT_TASK_NOT_REGISTERED' })
})

await t.test('an adapter without schedules has none', async t => {
  const app = await makeApp(t, { adapter: new UnrulyAdapter(), tasks: [sweep] })
  await app.ready()
  await t.rejects(app.backgroundTasks.schedule(sweep, { cron: '* * * * *' }), { code: 'FST_ERR_BGT_NO_CAPABILITY', message: /^A schedule of task "sweep" needs .*"schedule"/ })
  await t.rejects(app.backgroundTasks.unschedule('sweep'), { code: 'FST_ERR_BGT_NO_CAPABILITY', message: /^The schedule "sweep" needs/ })
})

await t.test('by the second where the adapter can', async t => {
  const adapter = new SchedulingAdapter('second')
  const app = await makeApp(t, { adapter, tasks: [sweep] })
  await app.ready()
  await app.backgroundTasks.schedule(sweep, { cron: '*/5 * * * * *' })
  t.ok(adapter.schedules.has('sweep'))
})

await t.test('questions to a queue that fails, or is silent, end with a 503', async t => {
  const never = latch<never>()
  const faults = { status: () => { throw new Error('down') }, cancel: () => never.opened, health: () => never.opened }
  const app = await makeApp(t, { adapter: broken(faults), enqueueTimeout: 10 })
  await app.ready()
  await t.rejects(app.backgroundTasks.status('a'), { code: 'FST_ERR_BGT_QUEUE_UNAVAILABLE', message: 'The queue behind "unruly" did not answer: see its cause', cause: { message: 'down' } })
  await t.rejects(app.backgroundTasks.cancel('a'), { code: 'FST_ERR_BGT_QUEUE_UNAVAILABLE', message: /no answer within 10 ms/ })
  t.strictSame(await app.backgroundTasks.health(), { ok: false, warnings: [], error: 'The queue behind "unruly" did not answer: no answer within 10 ms' })
})

await t.test('health is what the adapter says', async t => {
  const app = await makeApp(t, { adapter: memory() })
  await app.ready()
  t.match(await app.backgroundTasks.health(), { ok: true, warnings: [/lost when this process ends/] })
})

await t.test('an adapter that cannot start stops the start, and is not closed', async t => {
  const adapter = broken({ start: () => Promise.reject(new Error('no such file')), close: () => { t.fail('was not started'); return Promise.resolve() } })
  const app = await makeApp(t, { adapter })
  await t.rejects(async () => await app.ready(), { message: 'no such file' })
  await app.close()
})

await t.test('a queue that fails to close is logged, and does not fail the application', async t => {
  fakeTimers(t)
  const never = latch()
  const thrower = await closing(t, () => { throw new Error('at once') })
  const rejecter = await closing(t, () => Promise.reject(new Error('later')))
  const silent = await closing(t, () => never.opened)
  for (const [lines, message] of [[thrower, 'at once'], [rejecter, 'later'], [silent, 'no answer within 5000 ms']] as const) {
    t.match(lines.ofTasks, [{ level: 50, msg: 'background task queue failed to close', adapter: 'unruly', err: { message } }])
  }
})

await t.test('an adapter is told of each queue once, and a worker takes them all', async t => {
  const adapter = new UnrulyAdapter()
  const start = t.capture(adapter, 'start', adapter.start.bind(adapter))
  const worker = await startWorker(await makeApp(t, { adapter, tasks: [report, sweep, defineTask({ name: 'other', run () {} })] }))
  t.match(start.args(), [[{ queues: ['reports', 'default'] }]])
  t.strictSame(worker.queues, ['reports', 'default'])
})
