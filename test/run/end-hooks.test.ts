import { setTimeout as wait } from 'node:timers/promises'
import { Type } from '@sinclair/typebox'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { memory } from '../../lib/adapters/memory/index.ts'
import { defineTask } from '../../lib/index.ts'
import type { ActiveJob, BackgroundTasksOptions, EscalationCause, QueueAdapter, TaskContext, TaskEvent } from '../../types/index.ts'
import { makeApp } from '../helpers/app.ts'
import { becomes } from '../helpers/jobs.ts'
import { latch } from '../helpers/latch.ts'
import { turns } from '../helpers/timers.ts'
import { UnrulyAdapter } from '../helpers/unruly-adapter.ts'

type Call = [hook: string, event: TaskEvent & { reason?: string, error?: Error & { code?: string }, duration?: number }]

const payload = Type.Object({ n: Type.Integer() })

/** An application, and each call of a hook that tells the end of a task. */
async function make (t: Test, options: BackgroundTasksOptions = {}): Promise<{ app: FastifyInstance, calls: Call[] }> {
  const calls: Call[] = []
  const note = (hook: string) => (event: Call[1]): void => { calls.push([hook, event]) }
  const hooks = Object.fromEntries(
    ['onTaskCompleted', 'onTaskFailed', 'onTaskSkipped', 'onTaskCancelled', 'onTaskEscalated', 'onTaskLost'].map(name => [name, note(name)]))
  const app = await makeApp(t, { hooks, ...options })
  await app.ready()
  return { app, calls }
}

/** What many a function throws when its signal aborts: an AbortError of Node, which says nothing of the reason. */
async function obey ({ signal }: TaskContext, started: () => void): Promise<void> {
  started()
  await wait(60_000, undefined, { signal })
}

await t.test('cancelled before it started', async t => {
  const { app, calls } = await make(t)
  const handle = app.backgroundTasks.add({ name: 'mail' }, () => t.fail('ran'))
  t.equal(handle.cancel(), 'cancelled')
  t.match(calls, [['onTaskCancelled', { id: handle.id, name: 'mail', attempt: 0, reason: 'requested', error: { code: 'FST_ERR_BGT_CANCELLED' }, duration: undefined }]])
})

await t.test('cancelled while it ran: the reason stands, and the error is its own AbortError', async t => {
  const { app, calls } = await make(t)
  const started = latch()
  const handle = app.backgroundTasks.add({ name: 'mail' }, context => obey(context, started.open))
  await started.opened
  t.equal(handle.cancel(), 'running')
  t.match(await handle.settled, { state: 'cancelled', reason: 'requested', error: { name: 'AbortError' } })
  t.match(calls, [['onTaskCancelled', { name: 'mail', attempt: 1, reason: 'requested', error: { name: 'AbortError' }, duration: Number }]])
})

await t.test('cancelled while it waited for its retry', async t => {
  const { app, calls } = await make(t)
  const handle = app.backgroundTasks.add({ name: 'mail', retry: { attempts: 2, delay: 60_000 } }, () => { throw new Error('expected') })
  await turns()
  t.equal(handle.cancel(), 'cancelled')
  t.match(calls, [['onTaskCancelled', { attempt: 1, reason: 'requested', error: { code: 'FST_ERR_BGT_CANCELLED' } }]])
})

await t.test('lost with its own AbortError: the reason stands', async t => {
  const { app, calls } = await make(t, { drainTimeout: 0 })
  const started = latch()
  app.backgroundTasks.add({ name: 'mail' }, context => obey(context, started.open))
  await started.opened
  await app.close()
  t.match(calls, [['onTaskLost', { name: 'mail', attempt: 1, reason: 'shutdown', error: { name: 'AbortError' } }]])
})

for (const cause of ['failure', 'overflow', 'shutdown'] as EscalationCause[]) {
  await t.test(`escalated: ${cause}`, async t => {
    const own: string[] = []
    const end = latch()
    const task = defineTask({
      name: 'mail',
      payload,
      escalate: [cause],
      hooks: { onTaskEscalated: ({ name }) => { own.push(name) } },
      run () { throw new Error('expected') }
    })
    const { app, calls } = await make(t, { adapter: new UnrulyAdapter(), tasks: [task], concurrency: 1, maxPending: 1, drainTimeout: 0 })
    if (cause !== 'failure') {
      app.backgroundTasks.add({ timeout: 0 }, () => end.opened)
      await turns()
    }
    if (cause === 'overflow') app.backgroundTasks.add({ name: 'waits' }, () => {})
    const handle = app.backgroundTasks.add(task, { n: 1 })
    const closed = cause === 'shutdown' ? app.close() : undefined
    t.match(await handle.settled, { state: 'escalated', id: handle.id })
    const told = calls.filter(([, { name }]) => name === 'mail')
    t.match(told, [['onTaskEscalated', { id: handle.id, payload: { n: 1 }, attempt: cause === 'failure' ? 1 : 0, requestId: undefined }]])
    t.strictSame(own, ['mail'], 'the hooks of the task too')
    end.open()
    await closed
  })
}

/** The memory adapter, whose jobs have a signal of the test's. */
function leased (lost: AbortSignal): QueueAdapter {
  const adapter = memory()
  const { work } = adapter
  adapter.work = (queue, run, options) =>
    work.call(adapter, queue, (job: ActiveJob) => run({ ...job, signal: lost }), options)
  return adapter
}

await t.test('in a worker, cancelled on request', async t => {
  const started = latch()
  const task = defineTask({ name: 'mail', payload, run: (_payload, context) => obey(context, started.open) })
  const { app, calls } = await make(t, { adapter: memory(), tasks: [task] })
  await app.backgroundTasks.work()
  const { id } = await app.backgroundTasks.enqueue(task, { n: 1 })
  await started.opened
  t.equal(await app.backgroundTasks.cancel(id), 'running')
  await becomes(app, id, 'cancelled')
  t.match(calls, [['onTaskCancelled', { id, name: 'mail', attempt: 1, payload: { n: 1 }, reason: 'requested', error: { name: 'AbortError' }, duration: Number }]])
})

await t.test('in a worker, cancelled as its lease was lost', async t => {
  const started = latch()
  const ended = latch()
  const lease = new AbortController()
  const task = defineTask({
    name: 'mail',
    hooks: { onTaskCancelled: () => ended.open() },
    run: (_payload, context) => obey(context, started.open)
  })
  const { app, calls } = await make(t, { adapter: leased(lease.signal), tasks: [task] })
  await app.backgroundTasks.work()
  const { id } = await app.backgroundTasks.enqueue(task)
  await started.opened
  lease.abort(new Error('the lease ran out'))
  await ended.opened
  t.match(calls, [['onTaskCancelled', { id, name: 'mail', attempt: 1, reason: 'lease', error: { name: 'AbortError' }, duration: Number }]])
})

await t.test('in a worker, cancelled before it could start', async t => {
  const ended = latch()
  const task = defineTask({
    name: 'mail',
    hooks: { onTaskCancelled: () => ended.open() },
    run: () => t.fail('ran')
  })
  const { app, calls } = await make(t, { adapter: leased(AbortSignal.abort({ code: 'FST_ERR_BGT_CANCELLED' })), tasks: [task] })
  await app.backgroundTasks.work()
  await app.backgroundTasks.enqueue(task)
  await ended.opened
  t.match(calls, [['onTaskCancelled', { attempt: 1, reason: 'requested', error: { code: 'FST_ERR_BGT_CANCELLED' } }]])
})

await t.test('in a worker, a task that a job adds escalates', async t => {
  const escalated = latch()
  const mail = defineTask({
    name: 'mail',
    queue: 'mails',
    payload,
    escalate: ['failure'],
    hooks: { onTaskEscalated: () => escalated.open() },
    run () { throw new Error('expected') }
  })
  const apps: FastifyInstance[] = []
  const job = defineTask({ name: 'job', run () { apps[0]!.backgroundTasks.add(mail, { n: 1 }) } })
  const { app, calls } = await make(t, { adapter: new UnrulyAdapter(), tasks: [mail, job] })
  apps.push(app)
  await app.backgroundTasks.work({ queues: ['default'] })
  await app.backgroundTasks.enqueue(job)
  await escalated.opened
  t.match(calls, [['onTaskCompleted', { name: 'job' }], ['onTaskEscalated', { name: 'mail', attempt: 1, payload: { n: 1 } }]])
})
