import { mock } from 'node:test'
import { setImmediate, setTimeout as wait } from 'node:timers/promises'
import Fastify from 'fastify'
import t from 'tap'
import { backgroundTasks, defineTask, startWorker } from '../../lib/index.ts'
import { memory } from '../../lib/adapters/memory/index.ts'
import type { Task, WorkOptions } from '../../types/index.ts'
import { makeApp } from '../helpers/app.ts'
import { becomes, notedHooks } from '../helpers/jobs.ts'
import { latch } from '../helpers/latch.ts'
import { LogLines } from '../helpers/log-lines.ts'
import { passTimeUntil, turns } from '../helpers/timers.ts'

const plain = defineTask({ name: 'plain', run () {} })

/** A task that begins, and then waits to be let go. */
function held (name: string, queue = 'default'): { task: Task, started: Promise<void>, letGo: () => void } {
  const started = latch()
  const release = latch()
  const task = defineTask({
    name,
    queue,
    run: async () => {
      started.open()
      await release.opened
    }
  })
  return { task, started: started.opened, letGo: release.open }
}

await t.test('startWorker boots the application, which does not listen, and works on all queues of its tasks', async t => {
  const lines = new LogLines('info')
  const mail = defineTask({ name: 'mail', queue: 'mails', run () {} })
  const app = await makeApp(t, { adapter: memory(), tasks: [plain, mail], drainTimeout: 1_234 }, { logger: lines.logger })
  const worker = await startWorker(app)
  t.strictSame(worker.queues, ['default', 'mails'])
  t.equal(worker.drainTimeout, 1_234)
  t.equal(app.server.listening, false)
  t.match(lines.ofTasks, [{ msg: 'background task worker started', queues: ['default', 'mails'], concurrency: 10, adapter: 'memory' }])
  for (const task of [plain, mail]) {
    const { id } = await app.backgroundTasks.enqueue(task)
    await becomes(app, id, 'completed')
  }
  t.equal(worker.stats().completed, 2)
})

await t.test('a worker needs the plugin, an adapter, tasks, right options, and an application that is ready', async t => {
  const bare = Fastify()
  t.teardown(() => bare.close())
  await t.rejects(startWorker(bare), { code: 'FST_ERR_BGT_NOT_REGISTERED' })

  const scoped = Fastify()
  t.teardown(() => scoped.close())
  await scoped.register(async scope => { await scope.register(backgroundTasks, { adapter: memory(), tasks: [plain] }) })
  await t.rejects(startWorker(scoped), { code: 'FST_ERR_BGT_NOT_REGISTERED' })

  await t.rejects(startWorker(await makeApp(t, { tasks: [plain] })), { code: 'FST_ERR_BGT_NO_ADAPTER' })
  await t.rejects(startWorker(await makeApp(t, { adapter: memory() })), {
    code: 'FST_ERR_BGT_INVALID_OPTIONS',
    message: 'Invalid options/tasks: Expected a task for the worker to run, got []'
  })

  const early = await makeApp(t, { adapter: memory(), tasks: [plain] })
  await t.rejects(early.backgroundTasks.work(), { code: 'FST_ERR_BGT_NOT_READY' })
  await t.rejects(startWorker(early, { concurrency: 0 }), { code: 'FST_ERR_BGT_INVALID_OPTIONS', message: /options\/concurrency/ })
  await t.rejects(startWorker(early, { queues: ['default', 'defualt'] }), {
    code: 'FST_ERR_BGT_INVALID_OPTIONS',
    message: 'Invalid options/queues/1: Expected one of default, which have tasks, got \'defualt\''
  })
})

await t.test('several workers of an application have their own queues, limits and figures', async t => {
  const adapter = memory()
  const concurrencies: Record<string, number> = {}
  const { work } = adapter
  adapter.work = (queue, run, options: WorkOptions) => {
    concurrencies[queue] = options.concurrency
    return work.call(adapter, queue, run, options)
  }
  const first = held('first', 'a')
  const second = held('second', 'b')
  const app = await makeApp(t, { adapter, tasks: [first.task, second.task] })
  await app.ready()
  const a = await app.backgroundTasks.work({ queues: ['a'], concurrency: 3 })
  const b = await app.backgroundTasks.work({ queues: ['b', 'b'] })
  t.strictSame(b.queues, ['b'])
  t.strictSame(concurrencies, { a: 3, b: 10 })
  const jobs = await Promise.all([first.task, second.task].map(task => app.backgroundTasks.enqueue(task)))
  await Promise.all([first.started, second.started])
  t.match([a.stats().running, b.stats().running], [1, 1])

  first.letGo()
  await becomes(app, jobs[0]!.id, 'completed')
  await a.close()
  t.match([a.stats(), b.stats()], [{ running: 0, completed: 1 }, { running: 1, completed: 0 }])
  const { id } = await app.backgroundTasks.enqueue(first.task)
  second.letGo()
  await becomes(app, jobs[1]!.id, 'completed')
  t.match(await app.backgroundTasks.status(id), { state: 'pending' }, 'a closed worker takes no more')
})

await t.test('a worker that cannot take from one of its queues takes from none', async t => {
  const adapter = memory()
  const { work } = adapter
  adapter.work = (queue, run, options) => queue === 'b' ? Promise.reject(new Error('no such queue')) : work.call(adapter, queue, run, options)
  const app = await makeApp(t, { adapter, tasks: [plain, defineTask({ name: 'other', queue: 'b', run () {} })] })
  await t.rejects(startWorker(app), { message: 'no such queue' })
  const { id } = await app.backgroundTasks.enqueue(plain)
  await setImmediate()
  t.match(await app.backgroundTasks.status(id), { state: 'pending' })
})

await t.test('both in one process: an application that listens, works, and runs tasks of requests', async t => {
  const notes: string[] = []
  const ended = latch()
  const task = defineTask({ name: 'job', run: () => 'done', hooks: { onTaskCompleted: () => { ended.open() } } })
  const app = await makeApp(t, { adapter: memory(), tasks: [task], hooks: notedHooks(notes) })
  app.post('/', async request => {
    const { settled } = request.backgroundTasks.add({ name: 'in process' }, () => {})
    void settled.then(() => request.backgroundTasks.enqueue(task))
    return 'ok'
  })
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  const worker = await app.backgroundTasks.work()
  t.equal((await fetch(url, { method: 'POST' })).status, 200)
  await ended.opened
  await app.close()
  t.strictSame(notes, ['in process 1 start', 'in process 1 success undefined', 'job 1 start', 'job 1 success done'])
  t.match(worker.stats(), { completed: 1 })
  t.match(app.backgroundTasks.stats(), { added: 1, completed: 1, enqueued: 1 })
})

for (const [what, tasks, problem] of [
  ['a task that it does not know', [plain], 'it is not among its tasks'],
  ['a newer version of a task', [plain, defineTask({ name: 'news', version: 2, run: () => t.fail('it ran') })], 'it has version 2']
] as const) {
  await t.test(`${what} is left to other workers, and fails when none has come`, async t => {
    mock.timers.enable({ apis: ['setTimeout', 'Date'] })
    t.teardown(() => mock.timers.reset())
    mock.method(performance, 'now', () => Date.now())
    t.teardown(() => mock.reset())
    const lines = new LogLines('warn')
    const adapter = memory()
    const next = defineTask({ name: 'news', version: 3, run: () => 'seen' })
    const newer = await makeApp(t, { adapter: memory({ store: adapter.native }), tasks: [next] })
    const older = await makeApp(t, { adapter, tasks }, { logger: lines.logger })
    await newer.ready()
    const worker = await startWorker(older, { unknown: { delay: 2_000, grace: 5_000 } })

    const { id } = await newer.backgroundTasks.enqueue(next, undefined, { delay: 10_000 })
    const failed = await passTimeUntil(becomes(newer, id, 'failed'))
    const message = `This worker cannot run task "news" in version 3: ${problem}`
    t.match(failed, { attempts: 1, error: { code: 'FST_ERR_BGT_UNKNOWN_TASK', message } })
    t.match(worker.stats(), { postponed: 3, failed: 1, retrying: 0, running: 0 }, 'the wait begins when it was due')
    t.strictSame(lines.ofTasks.map(({ msg, taskId }) => [msg, taskId]), [
      ['background task left to another worker', id],
      ['background task failed', id]
    ])
    t.match(lines.ofTasks[0], { task: 'news', err: { message } })

    const later = await newer.backgroundTasks.enqueue(next)
    await becomes(newer, later.id, 'scheduled')
    await worker.close()
    await startWorker(newer)
    t.match(await passTimeUntil(becomes(newer, later.id, 'completed')), { attempts: 1, result: 'seen' }, 'a worker that knows it runs it')
  })
}

await t.test('a job of an older version runs', async t => {
  const adapter = memory()
  const older = await makeApp(t, { adapter: memory({ store: adapter.native }), tasks: [plain] })
  await older.ready()
  const { id } = await older.backgroundTasks.enqueue(plain)
  const app = await makeApp(t, { adapter, tasks: [defineTask({ name: 'plain', version: 2, run: () => 'run' })] })
  await startWorker(app)
  t.match(await becomes(app, id, 'completed'), { result: 'run' })
})

await t.test('closing waits for jobs, for the tasks they add, and for hooks; then others close', async t => {
  const events: string[] = []
  const started = latch()
  const release = latch()
  const job = defineTask({
    name: 'job',
    run: async () => {
      started.open()
      await release.opened
      app.backgroundTasks.add({ name: 'added' }, () => { events.push('added') })
    }
  })
  const app = await makeApp(t, {
    adapter: memory(),
    tasks: [job],
    hooks: {
      onTaskCompleted: async ({ name }) => {
        await wait(1)
        events.push(`hook of ${name}`)
      },
      onShutdown: () => { events.push('onShutdown') }
    }
  })
  app.addHook('onClose', async () => { events.push('other plugins') })
  const worker = await startWorker(app)
  await app.backgroundTasks.enqueue(job)
  await started.opened
  const closed = app.close()
  await turns(50)
  t.strictSame(events, [])
  release.open()
  await closed
  t.strictSame(events.toSorted(), ['added', 'hook of added', 'hook of job', 'onShutdown', 'other plugins'])
  t.strictSame(events.slice(-2), ['onShutdown', 'other plugins'])
  t.match(worker.stats(), { completed: 1, running: 0 })
  t.match(app.backgroundTasks.stats(), { added: 1, completed: 1, lost: 0 })
})

await t.test('a job that has not ended by then is aborted, and given back for another worker', async t => {
  const lines = new LogLines('warn')
  const adapter = memory()
  const attempts: number[] = []
  const reasons: unknown[] = []
  const started = latch()
  const task = defineTask({
    name: 'long',
    retry: { attempts: 3 },
    run: async (_payload, { attempt, signal }) => {
      attempts.push(attempt)
      if (attempts.length > 1) return
      started.open()
      signal.addEventListener('abort', () => { reasons.push(signal.reason) })
      await wait(60_000, undefined, { signal })
    }
  })
  const app = await makeApp(t, { adapter: memory({ store: adapter.native }), tasks: [task], drainTimeout: 20 }, { logger: lines.logger })
  const worker = await startWorker(app)
  const { id } = await app.backgroundTasks.enqueue(task)
  await started.opened
  await Promise.all([worker.close(), worker.close(), app.close()])
  t.match(reasons, [{ code: 'FST_ERR_BGT_SHUTDOWN', message: 'Task "long" had not ended 20 ms (drainTimeout) after the server closed' }])
  t.match(worker.stats(), { postponed: 1, failed: 0, retrying: 0, running: 0, abandoned: 0 })
  t.match(lines.ofTasks, [{ msg: 'background task given back to the queue', task: 'long', taskId: id, attempt: 1 }])

  const other = await makeApp(t, { adapter, tasks: [task] })
  await startWorker(other)
  await becomes(other, id, 'completed')
  t.strictSame(attempts, [1, 1], 'it was no attempt of its own')
})

await t.test('a job that ignores its signal is given back all the same', async t => {
  const adapter = memory()
  const { task, started, letGo } = held('deaf')
  const app = await makeApp(t, { adapter: memory({ store: adapter.native }), tasks: [task] })
  const worker = await startWorker(app, { drainTimeout: 0 })
  const { id } = await app.backgroundTasks.enqueue(task)
  await started
  await app.close()
  t.match(worker.stats(), { postponed: 1, abandoned: 1, running: 0 })

  letGo()
  await setImmediate()
  t.equal(worker.stats().abandoned, 0)
  const other = await makeApp(t, { adapter, tasks: [defineTask({ name: 'deaf', run () {} })] })
  await startWorker(other)
  await becomes(other, id, 'completed')
})

await t.test('a job that ends in time, though aborted, has completed', async t => {
  const adapter = memory()
  const started = latch()
  const task = defineTask({
    name: 'task',
    run: async (_payload, { signal }) => {
      started.open()
      await new Promise(resolve => { signal.addEventListener('abort', resolve) })
    }
  })
  const app = await makeApp(t, { adapter: memory({ store: adapter.native }), tasks: [task] })
  const worker = await startWorker(app, { drainTimeout: 0 })
  await app.backgroundTasks.enqueue(task)
  await started.opened
  await worker.close()
  t.match(worker.stats(), { completed: 1, postponed: 0, running: 0 })
})

await t.test('a queue that fails to let a worker go is logged, and closing goes on', async t => {
  const lines = new LogLines('error')
  const adapter = memory()
  adapter.work = async () => ({ close: () => Promise.reject(new Error('connection lost')) })
  const app = await makeApp(t, { adapter, tasks: [plain] }, { logger: lines.logger })
  await startWorker(app)
  await app.close()
  t.match(lines.ofTasks, [{ msg: 'background task worker failed to close', err: { message: 'connection lost' } }])
})

await t.test('a logger that throws keeps no job from its end, and no worker from closing', async t => {
  const odd = defineTask({ name: 'odd', run: () => ({ circular: 1n }) })
  const fails = defineTask({ name: 'fails', run () { throw new Error('no') } })
  const unknown = defineTask({ name: 'unknown', run () {} })
  const adapter = memory()
  const throws = (): never => { throw new Error('no room on the disk') }
  const app = await makeApp(t, { adapter, tasks: [odd, fails] }, { genReqId: () => 'request-7' })
  const other = await makeApp(t, { adapter: memory({ store: adapter.native }), tasks: [unknown] })
  app.get('/', request => Promise.all([odd, fails].map(task => request.backgroundTasks.enqueue(task))))
  await Promise.all([app.ready(), other.ready()])
  const enqueued = (await app.inject('/')).json<{ id: string }[]>()
  const stray = await other.backgroundTasks.enqueue(unknown)
  for (const method of ['info', 'warn', 'error', 'child'] as const) app.log[method] = throws
  const worker = await startWorker(app, { unknown: { grace: 0, delay: 0 } })
  await becomes(app, enqueued[0]!.id, 'completed')
  await becomes(app, enqueued[1]!.id, 'failed')
  await becomes(app, stray.id, 'failed')
  t.match(worker.stats(), { completed: 1, failed: 2, running: 0 })
  await app.close()
})
