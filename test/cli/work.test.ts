import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { mock } from 'node:test'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { serve } from '../../lib/cli/work.ts'
import type { WorkCommand } from '../../lib/cli/command.ts'
import { backgroundTasks, defineTask } from '../../lib/index.ts'
import { memory } from '../../lib/adapters/memory/index.ts'
import type { BackgroundTasksOptions } from '../../types/index.ts'
import { becomes } from '../helpers/jobs.ts'
import { FakeHost } from '../helpers/fake-host.ts'
import { latch } from '../helpers/latch.ts'
import { LogLines } from '../helpers/log-lines.ts'
import { turns } from '../helpers/timers.ts'

const plain = defineTask({ name: 'plain', run () {} })
const SAYS = { msg: 'background task worker started' }

/** An application, and the command that makes a worker of it. */
class Subject {
  readonly host = new FakeHost()
  readonly lines = new LogLines('info')
  readonly app: FastifyInstance
  readonly adapter = memory()

  constructor (t: Test, options: BackgroundTasksOptions = {}, logger: object | false = this.lines.logger) {
    this.app = Fastify({ logger })
    t.teardown(() => this.app.close())
    void this.app.register(backgroundTasks, { adapter: this.adapter, tasks: [plain], ...options })
  }

  serve (command: Partial<WorkCommand> = {}): Promise<number> {
    return serve(this.app, { file: '/app.js', worker: {}, health: undefined, logLevel: undefined, ...command }, this.host.host)
  }

  async said (line: Partial<LogLines['all'][0]>): Promise<LogLines['all'][0]> {
    for (;;) {
      const found = this.lines.all.find(each => each.msg === line.msg)
      if (found !== undefined) return found
      await turns(1)
    }
  }
}

await t.test('works until it is told to end, and leaves nothing behind', async t => {
  for (const signal of ['SIGTERM', 'SIGINT']) {
    const subject = new Subject(t)
    const { app, host } = subject
    const code = subject.serve({ worker: { concurrency: 3 } })
    t.match(await subject.said(SAYS), { queues: ['default'], concurrency: 3 })
    const { id } = await app.backgroundTasks.enqueue(plain)
    await becomes(app, id, 'completed')
    host.emit(signal, signal)
    t.equal(await code, 0)
    t.match(await subject.said({ msg: 'background task worker is closing' }), { signal })
    t.equal(app.server.listening, false)
    t.strictSame(host.eventNames(), [])
    t.equal(host.err, '')
  }
})

await t.test('what nobody catches is logged, and ends the worker in good order', async t => {
  const started = latch()
  const release = latch()
  const job = defineTask({
    name: 'job',
    run: async () => {
      started.open()
      await release.opened
      return 'done'
    }
  })
  const subject = new Subject(t, { tasks: [job] })
  const other = Fastify()
  t.teardown(() => other.close())
  await other.register(backgroundTasks, { adapter: memory({ store: subject.adapter.native }), tasks: [job] })
  await other.ready()
  const code = subject.serve()
  await subject.said(SAYS)
  await other.backgroundTasks.enqueue(job)
  await started.opened
  subject.host.emit('uncaughtException', new Error('nobody saw it coming'))
  subject.host.emit('SIGTERM', 'SIGTERM')
  t.match(await subject.said({ msg: 'background task worker is closing, as something was thrown that nobody caught' }), {
    level: 60,
    err: { message: 'nobody saw it coming', stack: /work\.test\.ts/ }
  })
  release.open()
  t.equal(await code, 1)
})

await t.test('where the application does not log, stderr has what nobody caught', async t => {
  const started = latch()
  const subject = new Subject(t, { hooks: { onStartup: () => { started.open() } } }, false)
  const code = subject.serve({ logLevel: 'debug' })
  await started.opened
  subject.host.emit('uncaughtException', new Error('nobody saw it coming'))
  t.equal(await code, 1)
  t.match(subject.host.err, /^fastify-background-tasks: Error: nobody saw it coming\n +at /)
})

await t.test('a log level is that of the application', async t => {
  const subject = new Subject(t)
  const code = subject.serve({ logLevel: 'debug' })
  await subject.said(SAYS)
  const { id } = await subject.app.backgroundTasks.enqueue(plain)
  t.match(await subject.said({ msg: 'background task completed' }), { taskId: id, level: 20 })
  subject.host.emit('SIGTERM', 'SIGTERM')
  t.equal(await code, 0)
})

await t.test('what cannot start says why, is closed, and ends with 1', async t => {
  const closed: string[] = []
  const subject = new Subject(t, { tasks: [] })
  subject.app.addHook('onClose', async () => { closed.push('closed') })
  t.equal(await subject.serve(), 1)
  t.equal(subject.host.err, 'fastify-background-tasks: Invalid options/tasks: Expected a task for the worker to run, got [] (FST_ERR_BGT_INVALID_OPTIONS)\n')
  t.strictSame(closed, ['closed'])
  t.strictSame(subject.host.eventNames(), [])

  const failing = new Subject(t, { hooks: { onStartup: () => { throw new Error('no database') } } })
  t.equal(await failing.serve(), 1)
  t.match(failing.host.err, /^fastify-background-tasks: Error: no database\n +at /)
})

await t.test('an application that listens is no worker', async t => {
  const subject = new Subject(t)
  await subject.app.listen({ host: '127.0.0.1', port: 0 })
  t.equal(await subject.serve(), 1)
  t.match(subject.host.err, /^fastify-background-tasks: \/app\.js .*: its application listens: call listen in another file \(FST_ERR_BGT_INVALID_APP\)\n$/)
})

await t.test('a signal while it starts is obeyed', async t => {
  const entered = latch()
  const release = latch()
  const subject = new Subject(t, {
    hooks: {
      onStartup: async () => {
        entered.open()
        await release.opened
      }
    }
  })
  const code = subject.serve()
  await entered.opened
  subject.host.emit('SIGTERM', 'SIGTERM')
  release.open()
  t.equal(await code, 0)
})

await t.test('an application that fails to close ends with 1', async t => {
  const subject = new Subject(t)
  subject.app.addHook('onClose', async () => { throw new Error('still in use') })
  const code = subject.serve()
  await subject.said(SAYS)
  subject.host.emit('SIGTERM', 'SIGTERM')
  t.equal(await code, 1)
  t.match(subject.host.err, /^fastify-background-tasks: Error: still in use\n/)
})

/** Told to end, with an application that does not close. */
async function stuck (t: Test, worker: WorkCommand['worker'] = {}): Promise<Subject> {
  mock.timers.enable({ apis: ['setTimeout', 'Date'] })
  t.teardown(() => mock.timers.reset())
  const subject = new Subject(t, { drainTimeout: 2_000 })
  const release = latch()
  const entered = latch()
  subject.app.addHook('onClose', async () => {
    entered.open()
    await release.opened
  })
  const code = subject.serve({ worker })
  await subject.said(SAYS)
  subject.host.emit('SIGINT', 'SIGINT')
  await entered.opened
  t.teardown(() => {
    release.open()
    return code
  })
  return subject
}

for (const [worker, deadline] of [[{}, 12_000], [{ drainTimeout: 500 }, 10_500]] as const) {
  await t.test(`10 s after the drain timeout it ends with 3 (${deadline} ms)`, async t => {
    const { host, lines } = await stuck(t, worker)
    let exited = false
    void host.exited.then(() => { exited = true })
    mock.timers.tick(deadline - 1)
    await turns(1)
    t.notOk(exited)
    mock.timers.tick(1)
    t.equal(await host.exited, 3)
    t.match(lines.all.at(-1), { level: 50, msg: `background task worker had not closed after ${deadline} ms` })
  })
}

for (const [signal, code] of [['SIGTERM', 143], ['SIGINT', 130]] as const) {
  await t.test(`a second signal ends it at once, unless it is the echo of the first (${signal})`, async t => {
    const { host } = await stuck(t)
    let exited = false
    void host.exited.then(() => { exited = true })
    mock.timers.tick(1_000)
    host.emit(signal, signal)
    await turns(1)
    t.notOk(exited)
    mock.timers.tick(1)
    host.emit(signal, signal)
    t.equal(await host.exited, code)
  })
}

await t.test('health is told over HTTP, from before the start until the end', async t => {
  const entered = latch()
  const release = latch()
  const started = latch()
  const end = latch()
  const job = defineTask({
    name: 'job',
    run: async () => {
      started.open()
      await end.opened
    }
  })
  const subject = new Subject(t, {
    tasks: [job],
    hooks: {
      onStartup: async () => {
        entered.open()
        await release.opened
      }
    }
  })
  const { app, adapter, host } = subject
  const code = subject.serve({ health: { port: 0, host: '127.0.0.1', details: true } })
  const { port, address } = await subject.said({ msg: 'background task worker answers /live and /ready' })
  t.equal(address, '127.0.0.1')
  async function ask (path: string, method = 'GET'): Promise<[number, unknown]> {
    const response = await fetch(`http://127.0.0.1:${String(port)}${path}`, { method })
    t.equal(response.headers.get('content-type'), 'application/json')
    return [response.status, method === 'HEAD' ? undefined : await response.json()]
  }

  await entered.opened
  t.strictSame(await ask('/live'), [200, { state: 'starting' }])
  t.strictSame(await ask('/ready'), [503, { state: 'starting' }])

  release.open()
  await subject.said(SAYS)
  await app.backgroundTasks.enqueue(job)
  await started.opened
  t.strictSame(await ask('/live'), [200, { state: 'working' }])
  t.match(await ask('/ready?verbose'), [200, { state: 'working', queue: { ok: true, warnings: [/lost when this process ends/] }, worker: { running: 1, completed: 0 } }])
  t.strictSame(await ask('/live', 'HEAD'), [200, undefined])
  for (const [path, method] of [['/', 'GET'], ['/ready/', 'GET'], ['/ready', 'POST']] as const) {
    t.strictSame(await ask(path, method), [404, { error: 'There are GET /live and GET /ready' }])
  }

  const { health } = adapter
  adapter.health = () => Promise.reject(new Error('connection refused'))
  t.match(await ask('/ready'), [503, { state: 'working', queue: { ok: false, error: 'The queue behind "memory" did not answer: see its cause' } }])
  adapter.health = health

  host.emit('SIGTERM', 'SIGTERM')
  await turns(1)
  t.strictSame(await ask('/live'), [200, { state: 'closing' }])
  t.match(await ask('/ready'), [503, { state: 'closing', queue: { ok: true }, worker: { running: 1 } }])
  end.open()
  t.equal(await code, 0)
  await t.rejects(fetch(`http://127.0.0.1:${String(port)}/live`))
})

await t.test('strangers learn the state alone, and many probes are one question', async t => {
  const subject = new Subject(t)
  const { adapter, host } = subject
  const code = subject.serve({ health: { port: 0, host: '127.0.0.1' } })
  const { port } = await subject.said({ msg: 'background task worker answers /live and /ready' })
  await subject.said(SAYS)
  async function ready (): Promise<[number, unknown]> {
    const response = await fetch(`http://127.0.0.1:${String(port)}/ready`)
    return [response.status, await response.json()]
  }
  t.strictSame(await ready(), [200, { state: 'working' }])

  const { health } = adapter
  const answer = latch()
  let questions = 0
  adapter.health = async () => {
    questions++
    await answer.opened
    throw new Error('connect ECONNREFUSED 10.1.2.3:5432 as role "jobs"')
  }
  let arrived = 0
  const all = latch()
  const count = (): void => { if (++arrived === 5) all.open() }
  subscribe('http.server.request.start', count)
  t.teardown(() => unsubscribe('http.server.request.start', count))
  const probes = Array.from({ length: 5 }, ready)
  await all.opened
  answer.open()
  for (const told of await Promise.all(probes)) t.strictSame(told, [503, { state: 'working' }])
  t.equal(questions, 1)
  adapter.health = health
  t.strictSame(await ready(), [200, { state: 'working' }])
  host.emit('SIGTERM', 'SIGTERM')
  t.equal(await code, 0)
})

await t.test('a port that is taken', async t => {
  const server = createServer().listen(0, '127.0.0.1')
  t.teardown(() => server.close())
  await new Promise(resolve => { server.once('listening', resolve) })
  const subject = new Subject(t)
  t.equal(await subject.serve({ health: { port: (server.address() as AddressInfo).port, host: '127.0.0.1' } }), 1)
  t.match(subject.host.err, /^fastify-background-tasks: Error: listen EADDRINUSE: address already in use 127\.0\.0\.1/)
})
