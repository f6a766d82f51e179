import { AsyncLocalStorage } from 'node:async_hooks'
import { setTimeout as wait } from 'node:timers/promises'
import { Type } from '@sinclair/typebox'
import type { FastifyInstance, FastifyServerOptions } from 'fastify'
import t, { type Test } from 'tap'
import { defineTask, NonRetryableError } from '../../lib/index.ts'
import { memory } from '../../lib/adapters/memory/index.ts'
import type { ActiveJob, BackgroundTasksOptions, TaskContext, Worker } from '../../types/index.ts'
import { makeApp } from '../helpers/app.ts'
import { becomes, notedHooks } from '../helpers/jobs.ts'
import { latch } from '../helpers/latch.ts'
import { LogLines } from '../helpers/log-lines.ts'
import { fakeTimers, passTimeUntil } from '../helpers/timers.ts'

async function makeWorker (t: Test, options: BackgroundTasksOptions, server: FastifyServerOptions = {}): Promise<{ app: FastifyInstance, worker: Worker }> {
  const app = await makeApp(t, { adapter: memory(), ...options }, server)
  await app.ready()
  return { app, worker: await app.backgroundTasks.work() }
}

/** A memory adapter whose jobs arrive as `change` has them. */
function deliverAs (change: (job: ActiveJob) => Partial<ActiveJob>): ReturnType<typeof memory> {
  const adapter = memory()
  const { work } = adapter
  adapter.work = (queue, run, options) => work.call(adapter, queue, job => run({ ...job, ...change(job) }), options)
  return adapter
}

await t.test('a task is told of its run, and its result is kept', async t => {
  const told = latch<[unknown, TaskContext]>()
  const sum = defineTask({
    name: 'sum',
    payload: Type.Array(Type.Number()),
    run (numbers, context) {
      told.open([numbers, context])
      return { sum: numbers.reduce((a, b) => a + b) }
    }
  })
  const notes: string[] = []
  const { app, worker } = await makeWorker(t, { tasks: [sum], hooks: notedHooks(notes) })
  const { id } = await app.backgroundTasks.enqueue(sum, [1, 2])
  const info = await becomes(app, id, 'completed')

  const [payload, context] = await told.opened
  t.strictSame(payload, [1, 2])
  t.match(context, { id, name: 'sum', attempt: 1, requestId: undefined })
  t.match(info, { attempts: 1, result: { sum: 3 } })
  t.strictSame(notes, ['sum 1 start', 'sum 1 success [object Object]'])
  t.strictSame(worker.stats(), { running: 0, completed: 1, failed: 0, retrying: 0, postponed: 0, cancelled: 0, abandoned: 0 })
})

await t.test('a failing task is tried again after its backoff, and fails for good in its last attempt', async t => {
  fakeTimers(t)
  const hopeless = defineTask({
    name: 'hopeless',
    retry: { attempts: 4, delay: 100, maxDelay: 300, jitter: 0 },
    run: (_payload, { attempt }) => { throw new Error(`no. ${attempt}`) }
  })
  const notes: string[] = []
  const { app, worker } = await makeWorker(t, { tasks: [hopeless], hooks: notedHooks(notes) })
  const { id } = await app.backgroundTasks.enqueue(hopeless)
  t.match(await becomes(app, id, 'retrying'), { attempts: 1, error: { message: 'no. 1' } })
  t.match(await passTimeUntil(becomes(app, id, 'failed')), { attempts: 4, error: { name: 'Error', message: 'no. 4' } })
  t.strictSame(notes, [
    'hopeless 1 start', 'hopeless 1 retry in 100 no. 1',
    'hopeless 2 start', 'hopeless 2 retry in 200 no. 2',
    'hopeless 3 start', 'hopeless 3 retry in 300 no. 3',
    'hopeless 4 start', 'hopeless 4 error no. 4'
  ])
  t.match(worker.stats(), { retrying: 3, failed: 1, completed: 0, running: 0 })
})

await t.test('a task without retry, and one that throws a NonRetryableError, have one attempt', async t => {
  const once = defineTask({ name: 'once', run: () => Promise.reject(new Error('no')) })
  const never = defineTask({ name: 'never', retry: { attempts: 5 }, run: () => { throw new NonRetryableError('no account') } })
  const notes: string[] = []
  const { app } = await makeWorker(t, { tasks: [once, never], hooks: notedHooks(notes) })
  for (const task of [once, never]) {
    const { id } = await app.backgroundTasks.enqueue(task)
    await becomes(app, id, 'failed')
  }
  t.strictSame(notes, ['once 1 start', 'once 1 error no', 'never 1 start', 'never 1 error no account'])
})

await t.test('a payload that no longer fits fails for good, and hooks and logs are told', async t => {
  const lines = new LogLines('error')
  const before = defineTask({ name: 'mail', payload: Type.Object({ to: Type.String() }), run () {} })
  const after = defineTask({
    name: 'mail',
    payload: Type.Object({ to: Type.String(), subject: Type.String() }),
    retry: { attempts: 5 },
    run: () => { throw new Error('must not run') }
  })
  const adapter = memory()
  const old = await makeApp(t, { adapter: memory({ store: adapter.native }), tasks: [before] })
  await old.ready()
  const notes: string[] = []
  const { app } = await makeWorker(t, { adapter, tasks: [after], hooks: notedHooks(notes) }, { logger: lines.logger })
  const { id } = await old.backgroundTasks.enqueue(before, { to: 'a@b.c' })
  t.match(await becomes(app, id, 'failed'), { attempts: 1, error: { code: 'FST_ERR_BGT_INVALID_PAYLOAD', message: /payload\/subject/ } })
  t.strictSame(notes, ['mail 1 start', 'mail 1 error FST_ERR_BGT_INVALID_PAYLOAD'])
  t.match(lines.ofTasks, [{ msg: 'background task failed', taskId: id, attempt: 1, err: { code: 'FST_ERR_BGT_INVALID_PAYLOAD' } }])
})

await t.test('a timeout aborts the signal, and is a failure like any other', async t => {
  fakeTimers(t)
  const release = latch()
  const reasons: unknown[] = []
  const slow = defineTask({
    name: 'slow',
    timeout: 50,
    retry: { attempts: 2, delay: 10, jitter: 0 },
    run: async (_payload, { signal }) => {
      signal.addEventListener('abort', () => reasons.push((signal.reason as { code: string }).code))
      await release.opened
    }
  })
  const notes: string[] = []
  const { app, worker } = await makeWorker(t, { tasks: [slow], hooks: notedHooks(notes) })
  const { id } = await app.backgroundTasks.enqueue(slow)
  t.match(await passTimeUntil(becomes(app, id, 'failed')), { attempts: 2, error: { code: 'FST_ERR_BGT_TIMEOUT' } })
  t.strictSame(reasons, ['FST_ERR_BGT_TIMEOUT', 'FST_ERR_BGT_TIMEOUT'])
  t.strictSame(notes, [
    'slow 1 start', 'slow 1 retry in 10 Task "slow" took longer than 50 ms',
    'slow 2 start', 'slow 2 error FST_ERR_BGT_TIMEOUT'
  ])
  t.match(worker.stats(), { abandoned: 2, running: 0, failed: 1, retrying: 1 })
  release.open()
  await wait(0)
  t.equal(worker.stats().abandoned, 0)
})

await t.test('a running job is cancelled by its signal', async t => {
  const started = latch()
  const obedient = defineTask({
    name: 'obedient',
    retry: { attempts: 3 },
    run: async (_payload, { signal }) => {
      started.open()
      await wait(60_000, undefined, { signal })
    }
  })
  const notes: string[] = []
  const { app, worker } = await makeWorker(t, { tasks: [obedient], hooks: notedHooks(notes) })
  const { id } = await app.backgroundTasks.enqueue(obedient)
  await started.opened
  t.equal(await app.backgroundTasks.cancel(id), 'running')
  t.match(await becomes(app, id, 'cancelled'), { attempts: 1 })
  t.strictSame(notes, ['obedient 1 start'])
  t.match(worker.stats(), { cancelled: 1, running: 0, failed: 0, retrying: 0 })
})

await t.test('a running job that ends well in spite of its cancellation has completed', async t => {
  const started = latch()
  const release = latch()
  const deaf = defineTask({
    name: 'deaf',
    run: async () => {
      started.open()
      await release.opened
    }
  })
  const { app } = await makeWorker(t, { tasks: [deaf] })
  const { id } = await app.backgroundTasks.enqueue(deaf)
  await started.opened
  t.equal(await app.backgroundTasks.cancel(id), 'running')
  release.open()
  await becomes(app, id, 'completed')
})

await t.test('a job that was cancelled on its way does not run', async t => {
  const adapter = deliverAs(() => ({ signal: AbortSignal.abort() }))
  const task = defineTask({ name: 'late', run: () => t.fail('it ran') })
  const notes: string[] = []
  const { app, worker } = await makeWorker(t, { adapter, tasks: [task], hooks: notedHooks(notes) })
  const { id } = await app.backgroundTasks.enqueue(task)
  t.match(await becomes(app, id, 'cancelled'), { error: { code: 'FST_ERR_BGT_CANCELLED' } })
  t.strictSame(notes, [])
  t.equal(worker.stats().cancelled, 1)
})

await t.test('a result that cannot be kept does not undo the work', async t => {
  const lines = new LogLines('warn')
  const results: Record<string, unknown> = {
    bigint: 1n,
    large: 'x'.repeat(100),
    fits: 'x'.repeat(98),
    function: () => {},
    nothing: undefined,
    date: new Date(0)
  }
  const tasks = Object.entries(results).map(([name, result]) => defineTask({ name, run: () => result }))
  const { app } = await makeWorker(t, { tasks, maxPayload: 100 }, { logger: lines.logger })
  const kept: Record<string, unknown> = {}
  for (const task of tasks) {
    const { id } = await app.backgroundTasks.enqueue(task)
    kept[task.name] = (await becomes(app, id, 'completed')).result
  }
  t.strictSame(kept, { bigint: undefined, large: undefined, fits: 'x'.repeat(98), function: undefined, nothing: undefined, date: '1970-01-01T00:00:00.000Z' })
  t.match(lines.ofTasks, [
    { task: 'bigint', msg: 'background task completed, but its result cannot be kept', err: { message: /BigInt/ } },
    { task: 'large', msg: 'background task completed, but its result cannot be kept', err: { message: /more than 100 bytes \(maxPayload\)/ } }
  ])
  t.equal(lines.ofTasks.length, 2)
})

await t.test('an adapter that keeps no results is given none', async t => {
  const adapter = memory()
  Object.assign(adapter, { capabilities: { ...adapter.capabilities, result: false } })
  const task = defineTask({ name: 'task', run: () => 'a result' })
  const { app } = await makeWorker(t, { adapter, tasks: [task] })
  const { id } = await app.backgroundTasks.enqueue(task)
  t.equal((await becomes(app, id, 'completed')).result, undefined)
})

await t.test('what is kept of a job has maxPayload bytes at the most, or characters of a message', async t => {
  const lines = new LogLines('warn')
  const big = defineTask({ name: 'big', run: () => 'x'.repeat(8 * 1_048_576) })
  const loud = defineTask({ name: 'loud', run: () => { throw new Error('x'.repeat(8 * 1_048_576)) } })
  const { app } = await makeWorker(t, { tasks: [big, loud], maxPayload: 1_000 }, { logger: lines.logger })
  const { id } = await app.backgroundTasks.enqueue(big)
  t.equal((await becomes(app, id, 'completed')).result, undefined)
  t.match(lines.ofTasks.find(({ taskId }) => taskId === id), { msg: 'background task completed, but its result cannot be kept', err: { message: 'it has more than 1000 bytes (maxPayload)' } })
  const failed = await app.backgroundTasks.enqueue(loud)
  t.equal((await becomes(app, failed.id, 'failed')).error!.message.length, 1_000)
})

await t.test('progress is kept for whoever asks', async t => {
  const release = latch()
  const task = defineTask({
    name: 'task',
    run: async (_payload, { progress }) => {
      progress({ percent: 30 })
      progress({ percent: 60 })
      await release.opened
    }
  })
  const { app } = await makeWorker(t, { tasks: [task] })
  const { id } = await app.backgroundTasks.enqueue(task)
  t.strictSame((await becomes(app, id, 'running')).progress, { percent: 60 })
  release.open()
  await becomes(app, id, 'completed')
})

for (const [how, progress] of Object.entries({
  rejects: () => Promise.reject(new Error('connection lost')),
  throws: () => { throw new Error('connection lost') }
})) {
  await t.test(`progress that the queue does not keep is a warning (${how})`, async t => {
    const lines = new LogLines('warn')
    const adapter = deliverAs(() => ({ progress }))
    const task = defineTask({ name: 'task', run: (_payload, { progress }) => { progress(1) } })
    const { app } = await makeWorker(t, { adapter, tasks: [task] }, { logger: lines.logger })
    const { id } = await app.backgroundTasks.enqueue(task)
    await becomes(app, id, 'completed')
    t.match(lines.ofTasks, [{ msg: 'background task progress was not kept', task: 'task', taskId: id, err: { message: 'connection lost' } }])
  })
}

await t.test('trace.extract puts the attempt into the context of the headers that came with it', async t => {
  const context = new AsyncLocalStorage<string | undefined>()
  const seen: unknown[] = []
  const hooks = { onTaskCompleted: () => { seen.push(`hook ${context.getStore()}`) } }
  const task = defineTask({
    name: 'task',
    hooks,
    run: async () => {
      await wait(0)
      seen.push(context.getStore())
    }
  })
  const headers = [{ traceparent: 'a' }, {}]
  const { app } = await makeWorker(t, {
    tasks: [task],
    trace: { inject: () => headers.shift() as Record<string, string>, extract: ({ traceparent }, run) => context.run(traceparent, run) }
  })
  for (let count = 0; count < 2; count++) {
    const { id } = await app.backgroundTasks.enqueue(task)
    await becomes(app, id, 'completed')
  }
  t.strictSame(seen, ['a', 'hook a', undefined, 'hook undefined'])
})

for (const [how, extract] of Object.entries<NonNullable<BackgroundTasksOptions['trace']>['extract'] & {}>({
  'throws before': () => { throw new Error('no tracer') },
  'throws after': (_headers, run) => {
    void run()
    throw new Error('no tracer')
  },
  'rejects before': () => Promise.reject(new Error('no tracer')) as never,
  'runs it twice': (_headers, run) => {
    void run()
    return run()
  },
  'does not run it': () => undefined as never,
  'returns something else': (_headers, run) => {
    void run()
    return 'something' as never
  }
})) {
  await t.test(`a trace.extract that ${how} does not cost the job, nor runs it twice`, async t => {
    const lines = new LogLines('warn')
    let runs = 0
    const task = defineTask({ name: 'task', run: () => ++runs })
    const { app } = await makeWorker(t, { tasks: [task], trace: { inject: () => ({ traceparent: 'a' }), extract } }, { logger: lines.logger })
    const { id } = await app.backgroundTasks.enqueue(task)
    t.equal((await becomes(app, id, 'completed')).result, 1)
    t.equal(runs, 1)
    const fails = /throws|rejects/.test(how)
    t.match(lines.ofTasks, fails ? [{ msg: 'background task trace could not be continued', task: 'task', taskId: id, err: { message: 'no tracer' } }] : [])
  })
}

await t.test('lines have the id of the request that enqueued, under its name', async t => {
  const task = defineTask({
    name: 'task',
    run: (_payload, { log, requestId }) => {
      log.warn({ requestId }, 'background task says')
      throw new Error('no')
    }
  })
  for (const [label, options] of [['reqId', {}], ['trace', { requestIdLogLabel: 'trace' }]] as const) {
    const lines = new LogLines('warn')
    const app = await makeApp(t, { adapter: memory(), tasks: [task] }, { logger: lines.logger, genReqId: () => 'from-the-request', ...options })
    app.post('/', request => request.backgroundTasks.enqueue(task))
    await app.ready()
    await app.backgroundTasks.work()

    const { id } = await app.backgroundTasks.enqueue(task)
    await becomes(app, id, 'failed')
    t.match(lines.ofTasks, [{ msg: 'background task says', taskId: id }, { msg: 'background task failed', taskId: id }])
    t.notOk(lines.ofTasks.some(line => label in line), 'no request, no id')
    lines.all.length = 0

    const { id: taskId } = (await app.inject({ method: 'POST', url: '/' })).json<{ id: string }>()
    await becomes(app, taskId, 'failed')
    t.match(lines.ofTasks, [
      { msg: 'background task says', task: 'task', taskId, [label]: 'from-the-request', requestId: 'from-the-request' },
      { msg: 'background task failed', task: 'task', taskId, [label]: 'from-the-request', err: { message: 'no' } }
    ])
  }
})
