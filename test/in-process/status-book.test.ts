import { mock } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { Type } from '@sinclair/typebox'
import t, { type Test } from 'tap'
import { defineTask, startWorker } from '../../lib/index.ts'
import { memory } from '../../lib/adapters/memory/index.ts'
import type { Latch } from '../helpers/latch.ts'
import type { Task, TaskContext, TaskHandle, TaskInfo } from '../../types/index.ts'
import { makeApp } from '../helpers/app.ts'
import { latch } from '../helpers/latch.ts'
import { LogLines } from '../helpers/log-lines.ts'
import { fakeTimers, turns } from '../helpers/timers.ts'
import { UnrulyAdapter } from '../helpers/unruly-adapter.ts'

const HOUR = 3_600_000
const UNKNOWN = '00000000-0000-4000-8000-000000000000'

process.on('unhandledRejection', reason => t.fail('unhandledRejection', { reason }))

/** Returns its payload. */
const echo: Task<unknown> = defineTask({ name: 'echo', payload: Type.Any(), run: (payload: unknown) => payload })

/** A task that the test holds: it is told when an attempt has begun, and says how that ends. */
function makeHeld (options: Parameters<typeof defineTask>[0] | object = {}): { task: Task<undefined>, began: () => Promise<TaskContext>, end: (result: unknown) => void } {
  let begun: Latch<TaskContext> = latch()
  let ended: Latch<unknown> = latch()
  const task = defineTask({
    name: 'held',
    ...options,
    async run (_payload, context) {
      begun.open(context)
      const result = await ended.opened
      ended = latch()
      if (result instanceof Error) throw result
      return result
    }
  })
  return {
    task,
    async began () {
      const context = await begun.opened
      begun = latch()
      return context
    },
    end: result => ended.open(result)
  }
}

function fakeClock (t: Test, now = 0): typeof mock.timers {
  mock.timers.enable({ apis: ['Date'], now })
  t.teardown(() => mock.timers.reset())
  return mock.timers
}

await t.test('a task is pending, running, completed, and says when', async t => {
  const clock = fakeClock(t, 1_000)
  const held = makeHeld()
  const app = await makeApp(t, { tasks: [held.task] })
  const { backgroundTasks } = app
  const { id } = backgroundTasks.add(held.task)
  const known = { id, task: 'held', attempts: 0, enqueuedAt: 1_000 }
  t.strictSame(await backgroundTasks.status(id), { ...known, state: 'pending' })
  clock.tick(500)
  await held.began()
  t.strictSame(await backgroundTasks.status(id), { ...known, state: 'running', attempts: 1, startedAt: 1_500 })
  clock.tick(500)
  held.end({ sent: 3 })
  await backgroundTasks.idle()
  t.strictSame(await backgroundTasks.status(id), { ...known, state: 'completed', attempts: 1, result: { sent: 3 }, startedAt: 1_500, endedAt: 2_000 })
})

await t.test('a task that will be tried again tells its latest error, until it has completed, and the start of its latest attempt', async t => {
  const timers = fakeTimers(t)
  const held = makeHeld({ retry: { attempts: 3, delay: 1_000, backoff: 'fixed', jitter: 0 } })
  const { backgroundTasks } = await makeApp(t, { tasks: [held.task] })
  const { id } = backgroundTasks.add(held.task)
  await held.began()
  const first = await backgroundTasks.status(id)
  held.end(Object.assign(new Error('first'), { code: 'BUSY' }))
  await turns()
  t.strictSame(await backgroundTasks.status(id), { ...first, state: 'retrying', error: { name: 'Error', message: 'first', code: 'BUSY' } })
  timers.tick(1_000)
  await held.began()
  t.match(await backgroundTasks.status(id), { state: 'running', attempts: 2, error: { message: 'first' } })
  held.end(new RangeError('second'))
  await turns()
  t.match(await backgroundTasks.status(id), { state: 'retrying', attempts: 2, error: { message: 'second' } })
  timers.tick(1_000)
  await held.began()
  held.end('third time lucky')
  await backgroundTasks.idle()
  t.match(await backgroundTasks.status(id), { state: 'completed', attempts: 3, result: 'third time lucky', error: undefined })
})

await t.test('an id that is first read in a hook or by the task itself says what is known from then on', async t => {
  const clock = fakeClock(t, 1_000)
  const held = makeHeld()
  const { backgroundTasks } = await makeApp(t, { tasks: [held.task] })
  backgroundTasks.add(held.task)
  const context = await held.began()
  clock.tick(500)
  const { id } = context
  t.strictSame(await backgroundTasks.status(id), { id, task: 'held', state: 'running', attempts: 1, enqueuedAt: 1_500, startedAt: 1_500 })
  held.end(undefined)
})

await t.test('a task that fails tells name, message and code of its error, and no more', async t => {
  const fails = defineTask({ name: 'fails', run () { throw Object.assign(new TypeError('no'), { code: 'NO', secret: 'hunter2', cause: 'deep' }) } })
  const late = defineTask({ name: 'late', timeout: 1, run: () => new Promise(() => {}) })
  const { backgroundTasks } = await makeApp(t, { tasks: [fails, late], drainTimeout: 0 })
  const [failed, timedOut] = [backgroundTasks.add(fails), backgroundTasks.add(late)]
  const { id } = failed
  await failed.settled
  await timedOut.settled
  const info = await backgroundTasks.status(id)
  t.match(info, { state: 'failed', attempts: 1, endedAt: Number })
  t.strictSame(info?.error, { name: 'TypeError', message: 'no', code: 'NO' })
  t.match(await backgroundTasks.status(timedOut.id), { state: 'failed', error: { code: 'FST_ERR_BGT_TIMEOUT' } }, 'also where its id is first read after its end')
})

await t.test('an error that cannot be read does no harm', async t => {
  const fails = defineTask({ name: 'fails', run () { throw Object.defineProperty(new Error(), 'message', { get () { throw new Error('unreadable') } }) } })
  const { backgroundTasks } = await makeApp(t, { tasks: [fails] })
  const { id } = backgroundTasks.add(fails)
  await backgroundTasks.idle()
  await setImmediate()
  t.match(await backgroundTasks.status(id), { state: 'failed', error: { message: 'an error that throws when it is read' } })
})

await t.test('a task of a request waits for its response, and may be skipped', async t => {
  const app = await makeApp(t, { tasks: [echo] })
  const ids: string[] = []
  app.get('/', async request => {
    ids.push(request.backgroundTasks.add(echo, 1).id, request.backgroundTasks.add(echo, 2, { when: 'error' }).id)
    return await Promise.all(ids.map(id => app.backgroundTasks.status(id)))
  })
  t.match((await app.inject('/')).json(), [{ state: 'pending' }, { state: 'pending' }])
  await app.backgroundTasks.idle()
  t.match(await app.backgroundTasks.status(ids[0]!), { state: 'completed', result: 1 })
  t.match(await app.backgroundTasks.status(ids[1]!), { state: 'skipped', attempts: 0, endedAt: Number })
})

await t.test('a task without room or time is lost', async t => {
  const held = makeHeld()
  const app = await makeApp(t, { tasks: [held.task, echo], concurrency: 1, maxPending: 1, overflow: 'drop', drainTimeout: 0 })
  const { backgroundTasks } = app
  backgroundTasks.add(held.task)
  await held.began()
  const waiting = backgroundTasks.add(echo, 1)
  const dropped = backgroundTasks.add(echo, 2)
  const { id } = waiting
  t.match(await backgroundTasks.status(dropped.id), { state: 'lost', attempts: 0, error: { code: 'FST_ERR_BGT_OVERFLOW' } })
  const closed = app.close()
  await waiting.settled
  t.match(await backgroundTasks.status(id), { state: 'lost', attempts: 0, error: { code: 'FST_ERR_BGT_SHUTDOWN' } })
  held.end(undefined)
  await closed
})

await t.test('cancel reaches a task wherever it is', async t => {
  const held = makeHeld()
  const { backgroundTasks } = await makeApp(t, { tasks: [held.task, echo], concurrency: 1 })
  const { id: running } = backgroundTasks.add(held.task)
  const { signal } = await held.began()
  const { id: waiting } = backgroundTasks.add(echo, 1)
  t.equal(await backgroundTasks.cancel(waiting), 'cancelled')
  t.match(await backgroundTasks.status(waiting), { state: 'cancelled', attempts: 0, error: { code: 'FST_ERR_BGT_CANCELLED' } })
  t.equal(await backgroundTasks.cancel(waiting), 'finished')
  t.equal(await backgroundTasks.cancel(running), 'running')
  t.equal(signal.aborted, true)
  t.match(await backgroundTasks.status(running), { state: 'running' })
  held.end(signal.reason)
  await backgroundTasks.idle()
  t.match(await backgroundTasks.status(running), { state: 'cancelled', attempts: 1 })
  t.equal(await backgroundTasks.cancel(running), 'finished')
  t.equal(await backgroundTasks.cancel(UNKNOWN), 'not-found')
  t.equal(await backgroundTasks.status(UNKNOWN), null)
})

await t.test('progress is the latest value, as JSON has it, and stays', async t => {
  const held = makeHeld()
  const lines = new LogLines('warn')
  const { backgroundTasks } = await makeApp(t, { tasks: [held.task], maxPayload: 100 }, { logger: lines.logger })
  const { id } = backgroundTasks.add(held.task)
  const { progress } = await held.began()
  const seen = async (): Promise<unknown> => (await backgroundTasks.status(id))?.progress
  t.equal(await seen(), undefined)
  const value = { done: 1, at: new Date(0), of: [{ left: 2 }] }
  progress(value)
  value.done = 9
  t.strictSame(await seen(), { done: 1, at: '1970-01-01T00:00:00.000Z', of: [{ left: 2 }] })
  for (const value of [[1], 'half', 0, false, null]) {
    progress(value)
    t.strictSame(await seen(), value)
  }
  t.strictSame(lines.ofTasks, [])
  progress({ amount: 1n })
  progress('a'.repeat(99))
  t.equal(await seen(), null, 'what is no JSON, or too much of it, is not kept')
  t.match(lines.ofTasks, [
    { msg: 'background task progress was not kept', task: 'held', taskId: id, err: { type: 'TypeError' } }
  ])
  t.equal(lines.ofTasks.length, 1, 'which is told once')
  held.end(undefined)
  await backgroundTasks.idle()
  t.match(await backgroundTasks.status(id), { state: 'completed', progress: null })
})

await t.test('a function that goes on after its attempt says nothing of the progress any more', async t => {
  const timers = fakeTimers(t)
  const attempts: TaskContext[] = []
  const never = latch()
  const task = defineTask({
    name: 'endless',
    timeout: 100,
    retry: { attempts: 2, delay: 0 },
    run: (_payload, context) => {
      context.progress(`of attempt ${attempts.push(context)}`)
      return never.opened
    }
  })
  const { backgroundTasks } = await makeApp(t, { tasks: [task] })
  const { id } = backgroundTasks.add(task)
  await turns()
  timers.tick(100)
  await turns()
  timers.tick(0)
  await turns()
  t.equal(attempts.length, 2)
  t.match(await backgroundTasks.status(id), { state: 'running', progress: 'of attempt 2' })
  attempts[0]!.progress('too late')
  t.match(await backgroundTasks.status(id), { progress: 'of attempt 2' })
  timers.tick(100)
  await backgroundTasks.idle()
  attempts[1]!.progress('too late')
  t.match(await backgroundTasks.status(id), { state: 'failed', progress: 'of attempt 2' })
  never.open()
})

await t.test('an error message is no longer than maxPayload', async t => {
  const task = defineTask({ name: 'long', run: () => { throw new Error('x'.repeat(50_000)) } })
  const { backgroundTasks } = await makeApp(t, { tasks: [task], maxPayload: 1_000 })
  const { id } = backgroundTasks.add(task)
  await backgroundTasks.idle()
  t.equal((await backgroundTasks.status(id))!.error!.message.length, 1_000)
})

await t.test('what the book holds has a size: the tasks that ended first leave, and then progress is not kept', async t => {
  const lines = new LogLines('warn')
  const large = 'x'.repeat(16 * 1_048_576)
  const release = latch()
  const reporter = defineTask({
    name: 'reporter',
    payload: Type.String(),
    run: (payload, { progress }) => {
      progress(payload)
      return release.opened
    }
  })
  const { backgroundTasks } = await makeApp(t, { tasks: [echo, reporter], maxPayload: 2 * large.length }, { logger: lines.logger })
  const added = [1, 2, 3, 4].map(() => backgroundTasks.add(echo, large))
  const ids = added.map(({ id }) => id)
  await backgroundTasks.idle()
  await turns()
  const kept = async (): Promise<(number | undefined)[]> => Promise.all(ids.map(async id => ((await backgroundTasks.status(id))?.result as string | undefined)?.length))
  const { length } = large
  t.strictSame(await kept(), [undefined, length, length, length], 'a quote too many for four')

  const underWay = [1, 2, 3, 4].map(() => backgroundTasks.add(reporter, large).id)
  while (backgroundTasks.stats().pending > 0) await turns(1)
  t.strictSame(await kept(), [undefined, undefined, undefined, undefined])
  const progress = await Promise.all(underWay.map(async id => ((await backgroundTasks.status(id))?.progress as string | undefined)?.length))
  t.strictSame(progress, [length, length, length, undefined])
  t.match(lines.ofTasks.filter(({ err }) => err), [{ msg: 'background task progress was not kept', taskId: underWay[3], err: { message: 'the progress of tasks under way has 67108864 characters already' } }])
  release.open()
})

await t.test('tasks that are not defined are not known, and may do the same', async t => {
  const { backgroundTasks } = await makeApp(t)
  const handle = backgroundTasks.add({ name: 'loose', retry: { attempts: 2, delay: 0 } }, ({ progress, attempt }) => {
    progress(1)
    if (attempt === 1) throw new Error('no')
  })
  t.equal(await backgroundTasks.status(handle.id), null)
  t.match(await handle.settled, { state: 'completed', attempts: 2 })
  t.equal(await backgroundTasks.status(handle.id), null)
})

await t.test('a result is kept as JSON, or not at all', async t => {
  const live = { rows: [1], at: new Date(0) }
  const cycle: { self?: unknown } = {}
  cycle.self = cycle
  const results = [live, null, 0, '', [], undefined, () => {}, 1n, cycle, 'a'.repeat(99)]
  const next = defineTask({ name: 'next', run: () => results.shift() })
  const { backgroundTasks } = await makeApp(t, { tasks: [next], maxPayload: 100 })
  const handles = results.map(() => backgroundTasks.add(next))
  const ids = handles.map(({ id }) => id)
  await backgroundTasks.idle()
  await setImmediate()
  live.rows.push(2)
  const infos = await Promise.all(ids.map(id => backgroundTasks.status(id)))
  t.ok(infos.every(info => info?.state === 'completed'))
  t.strictSame(infos.map(info => info?.result), [{ rows: [1], at: '1970-01-01T00:00:00.000Z' }, null, 0, '', [], undefined, undefined, undefined, undefined, undefined])
  t.match(await handles[0]!.settled, { result: live }, 'the outcome has the result itself')
})

await t.test('ended tasks are forgotten after their ttl, and no earlier', async t => {
  const clock = fakeClock(t)
  const { backgroundTasks } = await makeApp(t, { tasks: [echo] })
  const run = async (): Promise<string> => {
    const { id, settled } = backgroundTasks.add(echo, 1)
    await settled
    await setImmediate()
    return id
  }
  const first = await run()
  clock.tick(HOUR / 2)
  const second = await run()
  clock.tick(HOUR / 2)
  t.match(await backgroundTasks.status(first), { state: 'completed', endedAt: 0 })
  clock.tick(1)
  t.equal(await backgroundTasks.status(first), null)
  t.equal(await backgroundTasks.cancel(first), 'not-found')
  t.match(await backgroundTasks.status(second), { endedAt: HOUR / 2 })
  clock.tick(HOUR)
  await run()
  t.equal(await backgroundTasks.status(second), null)
})

await t.test('a task that has not ended is known however long it takes', async t => {
  const clock = fakeClock(t)
  const held = makeHeld()
  const { backgroundTasks } = await makeApp(t, { tasks: [held.task], status: { ttl: 10, max: 0 } })
  const { id } = backgroundTasks.add(held.task)
  await held.began()
  clock.tick(HOUR)
  t.match(await backgroundTasks.status(id), { state: 'running' })
  held.end(undefined)
  await backgroundTasks.idle()
  await setImmediate()
  t.equal(await backgroundTasks.status(id), null, 'with max 0 none that has')
})

await t.test('of the ended tasks the oldest are forgotten first, and those whose id nobody read take no room', async t => {
  const { backgroundTasks } = await makeApp(t, { tasks: [echo], status: { max: 2 } })
  const run = async (): Promise<TaskHandle> => {
    const handle = backgroundTasks.add(echo, 1)
    await handle.settled
    await setImmediate()
    return handle
  }
  const known = async (ids: string[]): Promise<boolean[]> => await Promise.all(ids.map(async id => await backgroundTasks.status(id) !== null))
  const ids: string[] = []
  for (let n = 0; n < 2; n++) ids.push((await run()).id)
  for (let n = 0; n < 5; n++) await run()
  t.strictSame(await known(ids), [true, true])
  ids.push((await run()).id)
  await setImmediate()
  t.strictSame(await known(ids), [false, true, true])
})

await t.test('the owner of a task is told, before its end and after, and goes with it into the queue', async t => {
  const fails = defineTask({ name: 'fails', escalate: ['failure'], retry: { attempts: 5, delay: 0 }, run () { throw new Error('no') } })
  const app = await makeApp(t, { tasks: [echo, fails], adapter: memory() })
  await app.ready()
  const { backgroundTasks } = app
  const handle = backgroundTasks.add(echo, 1, { owner: 'ada' })
  t.match(await backgroundTasks.status(handle.id), { state: 'pending', owner: 'ada' })
  await handle.settled
  await setImmediate()
  t.match(await backgroundTasks.status(handle.id), { state: 'completed', owner: 'ada' })
  t.notOk('owner' in (await backgroundTasks.status(backgroundTasks.add(echo, 1).id))!, 'it is of one task, not of the definition')

  const escalated = backgroundTasks.add(fails, undefined, { owner: 'ada', retry: 1 })
  t.match(await escalated.settled, { state: 'escalated', attempts: 1 })
  await setImmediate()
  t.match(await backgroundTasks.status(escalated.id), { state: 'pending', queue: 'default', owner: 'ada' })
})

await t.test('a task that has escalated is the queue\'s', async t => {
  const fails = defineTask({ name: 'fails', escalate: ['failure'], run () { throw new Error('no') } })
  const app = await makeApp(t, { tasks: [fails], adapter: memory() })
  await app.ready()
  const { backgroundTasks } = app
  const handle = backgroundTasks.add(fails)
  const { id } = handle
  t.match(await backgroundTasks.status(id), { state: 'pending', task: 'fails' })
  t.match(await handle.settled, { state: 'escalated', id })
  await setImmediate()
  t.match(await backgroundTasks.status(id), { id, state: 'pending', task: 'fails', queue: 'default', attempts: 0 })
  t.equal(await backgroundTasks.cancel(id), 'cancelled')
  t.match(await backgroundTasks.status(id), { state: 'cancelled' })
  t.equal(await backgroundTasks.cancel(id), 'finished')
})

await t.test('jobs are known, and run, with progress and result', async t => {
  const held = makeHeld()
  const app = await makeApp(t, { tasks: [held.task, echo], adapter: memory() })
  const { backgroundTasks } = app
  await startWorker(app)
  const { id } = await backgroundTasks.enqueue(held.task)
  t.match(await backgroundTasks.status(id), { state: 'pending', queue: 'default', attempts: 0 })
  const { progress, signal } = await held.began()
  progress({ done: 1 })
  t.match(await backgroundTasks.status(id), { state: 'running', attempts: 1, progress: { done: 1 } })
  t.equal(await backgroundTasks.cancel(id), 'running')
  t.equal(signal.aborted, true)
  held.end('done all the same')
  const ended = async (): Promise<TaskInfo> => {
    for (;;) {
      const info = await backgroundTasks.status(id)
      if (info?.endedAt !== undefined) return info
      await setImmediate()
    }
  }
  t.match(await ended(), { state: 'completed', result: 'done all the same', progress: { done: 1 } })
  t.equal(await backgroundTasks.status(UNKNOWN), null)
  t.equal(await backgroundTasks.cancel(UNKNOWN), 'not-found')
})

await t.test('a queue that fails is a 503, for what is not known here', async t => {
  const adapter = new UnrulyAdapter()
  adapter.status = () => Promise.reject(new Error('connection lost'))
  adapter.cancel = () => Promise.reject(new Error('connection lost'))
  const app = await makeApp(t, { tasks: [echo], adapter })
  await app.ready()
  const { backgroundTasks } = app
  const handle = backgroundTasks.add(echo, 1)
  t.match(await backgroundTasks.status(handle.id), { state: 'pending' })
  await t.rejects(backgroundTasks.status(UNKNOWN), { code: 'FST_ERR_BGT_QUEUE_UNAVAILABLE', statusCode: 503 })
  await t.rejects(backgroundTasks.cancel(UNKNOWN), { code: 'FST_ERR_BGT_QUEUE_UNAVAILABLE', statusCode: 503 })
})
