import { AsyncLocalStorage } from 'node:async_hooks'
import { setImmediate } from 'node:timers/promises'
import { Type } from '@sinclair/typebox'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { defineTask, NonRetryableError } from '../../lib/index.ts'
import type { BackgroundTasksOptions, EscalationCause, StandardSchema, Task, TaskContext, TaskHandle } from '../../types/index.ts'
import { makeApp } from '../helpers/app.ts'
import { type Latch, latch } from '../helpers/latch.ts'
import { LogLines } from '../helpers/log-lines.ts'
import { UnrulyAdapter } from '../helpers/unruly-adapter.ts'

const payload = Type.Object({ n: Type.Integer() })

function makeTask (escalate: EscalationCause[], run: (payload: { n: number }, context: TaskContext) => unknown = () => {}, name = 'task'): Task<{ n: number }> {
  return defineTask({ name, payload, escalate, run })
}

async function makeReady (t: Test, adapter: UnrulyAdapter, task: Task, options: BackgroundTasksOptions = {}, server: object = {}): Promise<FastifyInstance> {
  return await makeApp(t, { adapter, tasks: [task], ...options }, server)
}

/** The numbers that went to the queue. */
function sent ({ calls }: UnrulyAdapter): number[] {
  return calls.flatMap(({ jobs }) => jobs.map(({ data }) => (data.payload as { n: number }).n))
}

/** A route whose handler adds two tasks, and then waits. */
function addTwo (app: FastifyInstance, task: Task<{ n: number }>): { added: Latch<void>, answer: Latch<void> } {
  const added = latch()
  const answer = latch()
  app.get('/', async request => {
    request.backgroundTasks.add(task, { n: 0 })
    request.backgroundTasks.add(task, { n: 1 })
    added.open()
    await answer.opened
    return 'ok'
  })
  return { added, answer }
}

await t.test('after the last failure in this process the queue has it, under the same id', async t => {
  const adapter = new UnrulyAdapter()
  const task = defineTask({ name: 'task', payload, escalate: ['failure'], retry: { attempts: 2, delay: 0 }, run () { throw new Error('no') } })
  const app = await makeReady(t, adapter, task)
  app.post('/', request => request.backgroundTasks.add(task, { n: 1 }))
  const { id } = (await app.inject({ method: 'POST', url: '/', headers: { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' } })).json<{ id: string }>()
  await app.backgroundTasks.idle()
  t.match(adapter.calls, [{ jobs: [{ id, task: 'task', delay: 0, priority: 50, retry: { attempts: 2 }, data: { payload: { n: 1 }, requestId: 'req-1', trace: { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' } } }] }])
  t.match(app.backgroundTasks.stats(), { added: 1, escalated: 1, failed: 0, running: 0, pending: 0, enqueued: 0 })
  t.match(await app.backgroundTasks.status(id), { id, task: 'task', state: 'pending', queue: 'default' }, 'from now on the queue knows')
})

await t.test('trace.inject is called in the async context of the add', async t => {
  const adapter = new UnrulyAdapter()
  const spans = new AsyncLocalStorage<string>()
  const task = makeTask(['failure'], () => { throw new Error('no') })
  const app = await makeReady(t, adapter, task, { trace: { inject: () => ({ traceparent: spans.getStore()! }) } })
  await app.ready()
  const handles = ['one', 'two'].map(span => spans.run(span, () => app.backgroundTasks.add(task, { n: 1 })))
  await Promise.all(handles.map(({ settled }) => settled))
  t.strictSame(adapter.calls.flatMap(({ jobs }) => jobs.map(({ data }) => data.trace)), [{ traceparent: 'one' }, { traceparent: 'two' }])
})

await t.test('the end of a response lets go of no other request\'s surplus', async t => {
  const adapter = new UnrulyAdapter()
  const task = makeTask(['overflow'])
  const app = await makeReady(t, adapter, task, { maxPending: 1 })
  const { added, answer } = addTwo(app, task)
  app.get('/other', request => typeof request.backgroundTasks)
  const response = app.inject('/')
  await added.opened
  await app.inject('/other')
  await setImmediate()
  t.strictSame(adapter.calls, [])
  answer.open()
  await response
  await app.backgroundTasks.idle()
  t.strictSame(sent(adapter), [1])
})

await t.test('the handle ends as escalated, and the next task of the lane runs meanwhile', async t => {
  const adapter = new UnrulyAdapter()
  const release = latch()
  adapter.before = () => release.opened
  const task = makeTask(['failure'], () => { throw new Error('no') })
  const app = await makeReady(t, adapter, task)
  await app.ready()
  const ran = latch()
  app.backgroundTasks.add(() => {})
  const handle = app.backgroundTasks.add(task, { n: 1 })
  app.backgroundTasks.add(ran.open)
  await ran.opened
  await setImmediate()
  t.equal(handle.cancel(), 'running', 'on its way it cannot be called back')
  t.match(app.backgroundTasks.stats(), { added: 3, completed: 2, running: 1, escalated: 0 })
  release.open()
  t.strictSame(await handle.settled, { state: 'escalated', attempts: 1, id: handle.id })
  t.match(app.backgroundTasks.stats(), { added: 3, completed: 2, running: 0, escalated: 1 })
})

await t.test('cancelling a task on its way does not touch the one that its lane runs by now', async t => {
  const adapter = new UnrulyAdapter()
  const taken = latch()
  adapter.before = () => taken.opened
  const release = latch()
  const ran = latch<AbortSignal>()
  const task = makeTask(['failure'], () => { throw new Error('no') })
  const app = await makeReady(t, adapter, task)
  const handles: TaskHandle[] = []
  app.post('/', request => {
    handles.push(request.backgroundTasks.add(task, { n: 1 }), request.backgroundTasks.add({}, async ({ signal }) => {
      ran.open(signal)
      await release.opened
      signal.throwIfAborted()
    }))
    return 'ok'
  })
  await app.inject({ method: 'POST', url: '/' })
  const signal = await ran.opened
  t.equal(handles[0]!.cancel(), 'running')
  t.equal(signal.aborted, false)
  taken.open()
  release.open()
  t.match(await Promise.all(handles.map(({ settled }) => settled)), [{ state: 'escalated' }, { state: 'completed' }])
})

await t.test('where the queue fails too, the task has failed, and both errors are logged', async t => {
  const adapter = new UnrulyAdapter()
  adapter.before = () => { throw new Error('queue down') }
  const task = makeTask(['failure'], () => { throw new Error('no') })
  const lines = new LogLines('info')
  const app = await makeReady(t, adapter, task, {}, { logger: lines.logger })
  await app.ready()
  const handle = app.backgroundTasks.add(task, { n: 1 })
  t.match(await handle.settled, { state: 'failed', attempts: 1, error: { message: 'no' } })
  t.match(lines.ofTasks.map(({ level, msg, err }) => [level, msg, (err as Error | undefined)?.message]), [
    [50, 'background task could not be handed over to the queue', /queue down/],
    [50, 'background task failed', 'no']
  ])
})

await t.test('a cause that the task does not name changes nothing', async t => {
  const adapter = new UnrulyAdapter()
  const task = makeTask(['shutdown', 'overflow'], () => { throw new Error('no') })
  const app = await makeReady(t, adapter, task)
  await app.ready()
  const handle = app.backgroundTasks.add(task, { n: 1 })
  t.match(await handle.settled, { state: 'failed' })
  t.strictSame(adapter.calls, [])
})

await t.test('where there is no room a task goes to the queue, and runs there once', async t => {
  const adapter = new UnrulyAdapter()
  const task = makeTask(['overflow'])
  const app = await makeReady(t, adapter, task, { maxPending: 2 })
  app.post('/', request => Array.from({ length: 4 }, (_, n) => request.backgroundTasks.add(task, { n }).state))
  t.strictSame((await app.inject({ method: 'POST', url: '/' })).json(), Array(4).fill('pending'))
  await app.backgroundTasks.idle()
  t.strictSame(sent(adapter), [2, 3])
  t.match(app.backgroundTasks.stats(), { added: 4, completed: 2, escalated: 2, pending: 0 })
})

await t.test('overflow: "escalate" is for all defined tasks; others are rejected', async t => {
  const adapter = new UnrulyAdapter()
  const task = makeTask([])
  const app = await makeReady(t, adapter, task, { maxPending: 1, overflow: 'escalate' })
  app.post('/', request => {
    request.backgroundTasks.add(task, { n: 0 })
    t.throws(() => request.backgroundTasks.add(() => {}), { code: 'FST_ERR_BGT_OVERFLOW', statusCode: 503 })
    request.backgroundTasks.add(task, { n: 1 })
    t.throws(() => request.backgroundTasks.add(task, { n: 2 }), { code: 'FST_ERR_BGT_OVERFLOW' }, 'as many again may be on their way, and no more')
    return 'ok'
  })
  await app.inject({ method: 'POST', url: '/' })
  await app.backgroundTasks.idle()
  t.strictSame(sent(adapter), [1])
  t.match(app.backgroundTasks.stats(), { added: 2, completed: 1, escalated: 1 })
})

await t.test('overflow: "drop" drops what does not escalate', async t => {
  const adapter = new UnrulyAdapter()
  const task = makeTask(['overflow'])
  const app = await makeReady(t, adapter, task, { maxPending: 1, overflow: 'drop' })
  app.post('/', request => {
    request.backgroundTasks.add(() => {})
    request.backgroundTasks.add(() => {})
    request.backgroundTasks.add(task, { n: 1 })
    return 'ok'
  })
  await app.inject({ method: 'POST', url: '/' })
  await app.backgroundTasks.idle()
  t.match(app.backgroundTasks.stats(), { added: 3, completed: 1, lost: 1, escalated: 1 })
})

await t.test('what waits for room or for its queue is twice maxPending at the most, and the error names the option', async t => {
  const adapter = new UnrulyAdapter()
  const task = makeTask(['overflow'])
  const app = await makeReady(t, adapter, task, { maxPending: 2 })
  app.post('/', request => {
    for (let n = 0; n < 5; n++) request.backgroundTasks.add(task, { n })
    return 'ok'
  })
  const response = await app.inject({ method: 'POST', url: '/' })
  t.equal(response.statusCode, 503)
  t.match(response.json(), {
    code: 'FST_ERR_BGT_OVERFLOW',
    message: 'No room for task "task": 4 tasks are pending, and the option "maxPending" is 2'
  })
  await app.backgroundTasks.idle()
  t.match(app.backgroundTasks.stats(), { added: 4, skipped: 4 })
})

await t.test('overflow: "drop" drops also what may escalate, from twice maxPending on', async t => {
  const adapter = new UnrulyAdapter()
  const lines = new LogLines('error')
  const task = makeTask(['overflow'])
  const app = await makeReady(t, adapter, task, { maxPending: 2, overflow: 'drop' }, { logger: lines.logger })
  app.post('/', request => {
    const states = Array.from({ length: 50 }, (_, n) => request.backgroundTasks.add(task, { n }).state)
    t.ok(app.backgroundTasks.stats().pending <= 4)
    return states.filter(state => state === 'lost').length
  })
  t.equal((await app.inject({ method: 'POST', url: '/' })).body, '46')
  await app.backgroundTasks.idle()
  t.strictSame(sent(adapter), [2, 3])
  t.match(app.backgroundTasks.stats(), { added: 50, completed: 2, escalated: 2, lost: 46 })
  t.match(lines.ofTasks[0], { reason: 'overflow', err: { message: '4 tasks are pending, and the option "maxPending" is 2' } })
})

await t.test('a surplus task of a request that fails is skipped, like the others', async t => {
  const adapter = new UnrulyAdapter()
  const task = makeTask(['overflow'])
  const app = await makeReady(t, adapter, task, { maxPending: 1 })
  app.post('/', request => {
    request.backgroundTasks.add(task, { n: 0 })
    request.backgroundTasks.add(task, { n: 1 })
    throw new Error('handler')
  })
  await app.inject({ method: 'POST', url: '/' })
  await app.backgroundTasks.idle()
  t.strictSame(adapter.calls, [])
  t.match(app.backgroundTasks.stats(), { added: 2, skipped: 2, escalated: 0 })
})

await t.test('a surplus task can be cancelled until its response is over', async t => {
  const adapter = new UnrulyAdapter()
  const task = makeTask(['overflow'])
  const app = await makeReady(t, adapter, task, { maxPending: 1 })
  app.post('/', request => {
    request.backgroundTasks.add(task, { n: 0 })
    return request.backgroundTasks.add(task, { n: 1 }).cancel()
  })
  t.equal((await app.inject({ method: 'POST', url: '/' })).body, 'cancelled')
  await app.backgroundTasks.idle()
  t.strictSame(adapter.calls, [])
  t.match(app.backgroundTasks.stats(), { added: 2, completed: 1, cancelled: 1, escalated: 0 })
})

await t.test('a surplus task that the queue does not take is lost, and onTaskLost is told', async t => {
  const adapter = new UnrulyAdapter()
  adapter.before = () => { throw new Error('queue down') }
  const lost: unknown[] = []
  const task = makeTask(['overflow'])
  const release = latch()
  const app = await makeReady(t, adapter, task, { maxPending: 1, concurrency: 1, hooks: { onTaskLost: ({ reason, payload }) => lost.push([reason, payload]) } })
  await app.ready()
  app.backgroundTasks.add(() => release.opened)
  await setImmediate()
  app.backgroundTasks.add(task, { n: 0 })
  const handle = app.backgroundTasks.add(task, { n: 1 })
  t.match(await handle.settled, { state: 'lost', reason: 'overflow', error: { code: 'FST_ERR_BGT_OVERFLOW' } })
  t.strictSame(lost, [['overflow', { n: 1 }]])
  release.open()
})

await t.test('at shutdown what waits and what does not end goes to the queue, and the rest is lost', async t => {
  const adapter = new UnrulyAdapter()
  const forever = latch()
  const task = makeTask(['shutdown'], async ({ n }, { signal }) => {
    if (n === 0) return await forever.opened
    await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)))
  })
  const other = defineTask({ name: 'other', run: () => forever.opened })
  const app = await makeReady(t, adapter, task, { tasks: [task, other], concurrency: 3, drainTimeout: 20 })
  await app.ready()
  const handles = [app.backgroundTasks.add(task, { n: 0 }), app.backgroundTasks.add(task, { n: 1 }), app.backgroundTasks.add(other)]
  await setImmediate()
  for (let n = 2; n < 10; n++) handles.push(app.backgroundTasks.add(task, { n }))
  handles.push(app.backgroundTasks.add(other))
  await app.close()
  t.strictSame(sent(adapter).sort(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  t.match(app.backgroundTasks.stats(), { added: 12, escalated: 10, lost: 2, pending: 0, running: 0 })
  t.match(await handles[0]!.settled, { state: 'escalated', attempts: 1 }, 'it ignores its signal, so the job may be its second run')
  t.match(await handles[9]!.settled, { state: 'escalated', attempts: 0 })
  forever.open()
})

await t.test('what the shutdown keeps from its next attempt goes to the queue, and what has none left does not', async t => {
  const adapter = new UnrulyAdapter()
  const fail = ({ n }: { n: number }): void => { throw n === 2 ? new NonRetryableError('never') : new Error('no') }
  const failed = latch()
  const task = defineTask({
    name: 'task',
    payload,
    escalate: ['shutdown'],
    retry: { attempts: 5, delay: 60_000 },
    hooks: { onTaskRetry: () => failed.open() },
    run: fail
  })
  const app = await makeReady(t, adapter, task)
  await app.ready()
  const handles = [app.backgroundTasks.add(task, { n: 1 }), app.backgroundTasks.add(task, { n: 2 })]
  await failed.opened
  await handles[1]!.settled
  await app.close()
  t.match(await Promise.all(handles.map(({ settled }) => settled)), [{ state: 'escalated', attempts: 2 }, { state: 'failed', attempts: 1 }])
  t.strictSame(sent(adapter), [1])
})

await t.test('ten thousand tasks that wait at shutdown are all in the queue', async t => {
  const adapter = new UnrulyAdapter({ batch: { max: 500, inFlight: 1 } })
  const task = makeTask(['shutdown'])
  const app = await makeReady(t, adapter, task, { concurrency: 1, drainTimeout: 0, enqueueTimeout: 120_000 })
  await app.ready()
  const release = latch()
  app.backgroundTasks.add(() => release.opened)
  await setImmediate()
  for (let n = 0; n < 10_000; n++) app.backgroundTasks.add(task, { n })
  const { added } = app.backgroundTasks.stats()
  const closed = app.close()
  release.open()
  await closed
  const { completed, escalated, lost } = app.backgroundTasks.stats()
  t.equal(completed + escalated, added)
  t.equal(lost, 0)
  t.equal(sent(adapter).length, escalated)
})

/** Closes with a task that waits, and a queue that never says whether it took it. Returns what was logged. */
async function closeWhileSilent (t: Test, enqueueTimeout: number): Promise<LogLines> {
  const adapter = new UnrulyAdapter()
  const [release, never] = [latch(), latch()]
  adapter.before = () => never.opened
  const task = makeTask(['shutdown'])
  const lines = new LogLines('error')
  const app = await makeReady(t, adapter, task, { concurrency: 1, drainTimeout: 0, enqueueTimeout }, { logger: lines.logger })
  await app.ready()
  app.backgroundTasks.add(() => release.opened)
  await setImmediate()
  const handle = app.backgroundTasks.add(task, { n: 1 })
  await app.close()
  t.match(await handle.settled, { state: 'lost', reason: 'shutdown', error: { code: 'FST_ERR_BGT_SHUTDOWN' } })
  release.open()
  never.open()
  return lines
}

await t.test('close is not held up by a queue that is silent: what it did not take is lost', async t => {
  await closeWhileSilent(t, 20)
})

await t.test('close waits for the answer of a queue no longer than the drain may take in all, however long enqueueTimeout is', async t => {
  const lines = await closeWhileSilent(t, 600_000)
  t.match(lines.ofTasks.filter(({ task }) => task === 'task'), [
    { msg: 'background task could not be handed over to the queue', err: { message: 'no answer before the application had to close' } },
    { msg: 'background task lost' }
  ])
})

await t.test('what is added when the queue has closed is lost', async t => {
  const task = makeTask(['shutdown'])
  const app = await makeReady(t, new UnrulyAdapter(), task)
  await app.ready()
  await app.close()
  const handle = app.backgroundTasks.add(task, { n: 1 })
  t.match(await handle.settled, { state: 'lost', reason: 'closed' })
})

await t.test('what the shutdown hands over for want of an answer does not go again when that comes', async t => {
  const adapter = new UnrulyAdapter()
  const given = latch()
  const taken = latch()
  adapter.before = () => {
    if (adapter.calls.length === 2) given.open()
    return taken.opened
  }
  const task = makeTask(['overflow', 'shutdown'])
  const app = await makeReady(t, adapter, task, { maxPending: 1, drainTimeout: 0 })
  const { added, answer } = addTwo(app, task)
  const response = app.inject('/')
  await added.opened
  const closed = app.close()
  await given.opened
  answer.open()
  await response
  taken.open()
  await closed
  t.strictSame(sent(adapter), [0, 1])
  t.match(app.backgroundTasks.stats(), { added: 2, escalated: 2, pending: 0, running: 0 })
})

await t.test('the queue gets the payload as it was added, and the task what its schema makes of it', async t => {
  const schema: StandardSchema<string, number> = {
    '~standard': { version: 1, vendor: 'test', validate: value => typeof value === 'string' ? { value: Number(value) } : { issues: [{ message: 'not a string' }] } }
  }
  const adapter = new UnrulyAdapter()
  const got: unknown[] = []
  const task = defineTask({ name: 'task', payload: schema, escalate: ['failure'], run (payload) { got.push(payload); throw new Error('no') } })
  const app = await makeReady(t, adapter, task)
  await app.ready()
  await app.backgroundTasks.add(task, '42').settled
  t.strictSame(got, [42])
  t.strictSame(adapter.calls[0]!.jobs[0]!.data.payload, '42')
})

await t.test('a task that may escalate takes JSON only, and says so at once', async t => {
  const task = defineTask({ name: 'task', payload: Type.Object({ at: Type.Date() }), escalate: ['failure'], run () {} })
  const app = await makeReady(t, new UnrulyAdapter(), task)
  await app.ready()
  t.throws(() => app.backgroundTasks.add(task, { at: new Date(0) }), { code: 'FST_ERR_BGT_INVALID_PAYLOAD', message: /payload\/at is a Date/ })
  t.equal(app.backgroundTasks.stats().added, 0)
})

await t.test('a task that needs what the adapter does not have stops the start', async t => {
  const cases = [
    [makeTask(['shutdown']), { durable: false }, 'durable'],
    [defineTask({ name: 'task', requires: ['transactional'], run () {} }), { transactional: false }, 'transactional'],
    [defineTask({ name: 'task', requires: ['schedule'], run () {} }), { schedule: 'none' }, 'schedule'],
    [defineTask({ name: 'task', escalate: ['failure'], retry: {}, run () {} }), { retry: false }, 'retry']
  ] as const
  for (const [task, capabilities, capability] of cases) {
    await t.rejects(makeApp(t, { adapter: new UnrulyAdapter(capabilities), tasks: [task] }), {
      code: 'FST_ERR_BGT_NO_CAPABILITY',
      message: `Task "task" needs an adapter with the capability "${capability}", which "unruly" does not have`
    })
  }
  await t.rejects(makeApp(t, { tasks: [cases[1][0]] }), { code: 'FST_ERR_BGT_NO_ADAPTER', message: /^"requires" of task "task" needs/ })
})
