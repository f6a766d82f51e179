import type { FastifyInstance, RouteHandler } from 'fastify'
import t, { type Test } from 'tap'
import { defineTask } from '../../lib/index.ts'
import type { BackgroundTasksOptions } from '../../types/index.ts'
import { makeApp } from '../helpers/app.ts'
import { latch } from '../helpers/latch.ts'
import { type LogLine, LogLines } from '../helpers/log-lines.ts'
import { FakeClock, turns } from '../helpers/timers.ts'
import { UnrulyAdapter } from '../helpers/unruly-adapter.ts'

const never = new Promise<never>(() => {})

interface Told {
  readonly app: FastifyInstance
  readonly clock: FakeClock
  /** What the close said so far. */
  readonly said: () => LogLine[]
}

async function make (t: Test, options: BackgroundTasksOptions = {}, handler: RouteHandler = () => never): Promise<Told> {
  const clock = new FakeClock(t)
  const lines = new LogLines('info')
  const app = await makeApp(t, { drainTimeout: 12_000, ...options }, { logger: lines.logger })
  app.get('/', handler)
  await app.ready()
  return { app, clock, said: () => lines.ofTasks.filter(({ msg }) => /drain|onShutdown/.test(msg)) }
}

await t.test('close() says at once and every five seconds which tasks it waits for, and how long', async t => {
  const { app, clock, said } = await make(t)
  const ends = ['mail', 'mail', 'report'].map(name => {
    const end = latch()
    app.backgroundTasks.add({ name, timeout: 0 }, () => end.opened)
    return end
  })
  await turns()
  const closed = app.close()
  await turns()
  t.match(said(), [{
    level: 30,
    msg: 'background task drain waits at most 12000 ms for 3 tasks (mail, mail, report)',
    tasks: 3,
    jobs: 0,
    hooks: 0,
    requests: 0,
    forfeited: 0,
    drainTimeout: 12_000
  }])
  await clock.pass(4_950)
  t.equal(said().length, 1)
  ends[0]!.open()
  ends[2]!.open()
  await turns()
  await clock.pass(50)
  t.match(said().slice(1), [{ msg: 'background task drain waits at most 12000 ms for 1 task (mail)', tasks: 1 }])
  await clock.pass(5_000)
  t.equal(said().length, 3)
  ends[1]!.open()
  await clock.until(closed)
  await clock.pass(20_000, 1_000)
  t.equal(said().length, 3, 'and nothing more once it is over')
})

await t.test('it says nothing where there is nothing to wait for', async t => {
  const { app, said } = await make(t, { adapter: new UnrulyAdapter(), hooks: { onShutdown: () => {} } })
  await app.backgroundTasks.add(() => {}).settled
  await app.close()
  t.strictSame(said(), [])
})

await t.test('of many tasks it says the first ten names', async t => {
  const { app, clock, said } = await make(t, { concurrency: 1 })
  for (let n = 1; n <= 12; n++) app.backgroundTasks.add({ name: `t${n}`, timeout: 0 }, () => never)
  await turns()
  await clock.until(app.close())
  t.match(said()[0], { tasks: 12, msg: /for 12 tasks \(t1, t2, t3, t4, t5, t6, t7, t8, t9, t10, \.\.\.\)$/ })
})

await t.test('it says how many retries it does not wait for', async t => {
  const { app, said } = await make(t)
  for (let n = 0; n < 2; n++) {
    app.backgroundTasks.add({ name: 'mail', retry: { attempts: 3, delay: 60_000 } }, () => { throw new Error('expected') })
  }
  await turns()
  t.match(app.backgroundTasks.stats(), { retrying: 2 })
  await app.close()
  t.match(said(), [{ forfeited: 2, msg: 'background task drain waits at most 12000 ms for 2 tasks (mail, mail). Not waited for: 2 retries' }])
})

await t.test('it says so of a single retry too', async t => {
  const { app, said } = await make(t)
  app.backgroundTasks.add({ name: 'mail', retry: { attempts: 3, delay: 60_000 } }, () => { throw new Error('expected') })
  await turns()
  await app.close()
  t.match(said(), [{ forfeited: 1, msg: /for 1 task \(mail\)\. Not waited for: 1 retry$/ }])
})

await t.test('it names the tasks of requests that are not answered, and those on their way to the queue', async t => {
  const adapter = new UnrulyAdapter()
  adapter.before = () => never
  const task = defineTask({ name: 'export', escalate: ['failure'], run () { throw new Error('expected') } })
  const added = latch()
  const { app, clock, said } = await make(t, { adapter, tasks: [task], enqueueTimeout: 60_000 }, request => {
    request.backgroundTasks.add({ name: 'mail' }, () => t.fail('ran'))
    added.open()
    return never
  })
  void app.inject('/')
  await added.opened
  app.backgroundTasks.add(task)
  await turns()
  await clock.until(app.close())
  t.match(said()[0], { tasks: 2, requests: 1, msg: /for 2 tasks \(export, mail\), 1 request$/ })
})

await t.test('it tells of jobs, of hooks and of requests', async t => {
  const job = defineTask({ name: 'job', timeout: 0, run: () => never })
  const { app, clock, said } = await make(t, { adapter: new UnrulyAdapter(), tasks: [job] })
  await app.backgroundTasks.enqueueMany(job, [undefined, undefined])
  await app.backgroundTasks.work()
  await turns(20)
  void app.inject('/')
  app.backgroundTasks.add({ hooks: { onTaskCompleted: () => never } }, () => {})
  await turns(20)
  await clock.until(app.close())
  t.match(said()[0], { tasks: 0, jobs: 2, hooks: 1, requests: 1, msg: 'background task drain waits at most 12000 ms for 2 jobs, 1 hook, 1 request' })
})

await t.test('an onShutdown that hangs is named every five seconds', async t => {
  const [begun, end] = [latch(), latch()]
  const { app, clock, said } = await make(t, {
    hooks: {
      onShutdown () {
        begun.open()
        return end.opened
      }
    }
  })
  const closed = app.close()
  await begun.opened
  await clock.pass(4_950)
  t.strictSame(said(), [])
  await clock.pass(50)
  const line = { level: 40, hook: 'onShutdown', msg: 'background task hook onShutdown has not ended, and the close waits for it' }
  t.match(said(), [line])
  await clock.pass(10_000)
  t.match(said(), [line, line, line])
  end.open()
  await closed
  await clock.pass(20_000, 1_000)
  t.equal(said().length, 3)
})

await t.test('an onShutdown that fails is not named again', async t => {
  const { app, clock, said } = await make(t, { hooks: { onShutdown: () => { throw new Error('expected') } } })
  await app.close()
  await clock.pass(20_000, 1_000)
  t.strictSame(said(), [])
})
