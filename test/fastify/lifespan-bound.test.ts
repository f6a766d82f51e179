import { Type } from '@sinclair/typebox'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { defineTask } from '../../lib/index.ts'
import type { BackgroundTasksOptions, TaskHandle } from '../../types/index.ts'
import { makeApp } from '../helpers/app.ts'
import { latch } from '../helpers/latch.ts'
import { LogLines } from '../helpers/log-lines.ts'
import { FakeClock, turns } from '../helpers/timers.ts'
import { UnrulyAdapter } from '../helpers/unruly-adapter.ts'

const DRAIN = 8_000

/** ms that all steps after the drain may take together. */
const AFTER = 1_800

const never = new Promise<never>(() => {})

const task = defineTask({ name: 'mail', payload: Type.Object({ n: Type.Integer() }), escalate: ['shutdown'], run: () => never })
const stuck = defineTask({ name: 'stuck', timeout: 0, run: () => never })

interface Trial {
  readonly app: FastifyInstance
  readonly adapter: UnrulyAdapter
  readonly clock: FakeClock
}

async function make (t: Test, options: BackgroundTasksOptions = {}, server: object = {}): Promise<Trial> {
  const clock = new FakeClock(t)
  const adapter = new UnrulyAdapter()
  // All else as it is by default, drainTimeout included.
  const app = await makeApp(t, { adapter, tasks: [task, stuck], concurrency: 1, ...options }, server)
  await app.ready()
  return { app, adapter, clock }
}

/** Each makes one step of the close hang. */
const hangs: Record<string, (trial: Trial) => unknown> = {
  'a task that ignores its signal' ({ app }) {
    app.backgroundTasks.add({ timeout: 0 }, () => never)
  },
  'a queue that does not take what escalates' ({ app, adapter }) {
    adapter.before = () => never
    app.backgroundTasks.add({ timeout: 0 }, () => never)
    app.backgroundTasks.add(task, { n: 1 })
  },
  'a hook that does not end' ({ app }) {
    app.backgroundTasks.add({ hooks: { onTaskCompleted: () => never } }, () => {})
  },
  async 'a job that ignores its signal' ({ app }) {
    await app.backgroundTasks.enqueue(stuck)
    await app.backgroundTasks.work()
    await turns(20)
  },
  async 'a consumer that does not close' ({ app, adapter }) {
    adapter.beforeConsumerCloses = () => never
    await app.backgroundTasks.work()
  },
  'an adapter that does not close' ({ adapter }) {
    adapter.beforeClose = () => never
  }
}

for (const [name, hang] of Object.entries(hangs)) {
  await t.test(`close() ends within drainTimeout and what comes after it, with ${name}`, async t => {
    const trial = await make(t)
    await hang(trial)
    await turns()
    const took = await trial.clock.until(trial.app.close())
    t.ok(took <= DRAIN + AFTER, `${took} ms`)
  })
}

await t.test('close() ends within the same time with all of these at once', async t => {
  const lost: string[] = []
  const { app, adapter, clock } = await make(t, {
    concurrency: 2,
    hooks: {
      onTaskLost ({ name }) {
        lost.push(name)
        return never
      }
    }
  })
  await app.backgroundTasks.enqueue(stuck)
  await app.backgroundTasks.work()
  adapter.before = () => never
  adapter.beforeConsumerCloses = adapter.beforeClose = () => never
  app.backgroundTasks.add({ timeout: 0, name: 'deaf' }, () => never)
  app.backgroundTasks.add({ hooks: { onTaskCompleted: () => never } }, () => {})
  app.backgroundTasks.add(task, { n: 1 })
  app.backgroundTasks.add(task, { n: 2 })
  app.backgroundTasks.add({ name: 'waits' }, () => t.fail('ran'))
  app.backgroundTasks.add({ timeout: 0, name: 'deaf too' }, () => never)
  await turns(20)
  const took = await clock.until(app.close())
  t.ok(took > DRAIN && took <= DRAIN + AFTER, `${took} ms`)
  t.match(app.backgroundTasks.stats(), { added: 6, completed: 1, lost: 5, pending: 0, running: 0 })
  t.strictSame(lost.toSorted(), ['deaf', 'deaf too', 'mail', 'mail', 'waits'])
})

await t.test('what the drain leaves is for the adapter, which gets no more than five seconds', async t => {
  const { app, adapter, clock } = await make(t)
  adapter.beforeClose = () => never
  t.equal(await clock.until(app.close()), 5_000)
})

await t.test('a worker with a longer drainTimeout has that time', async t => {
  const { app, clock } = await make(t)
  await app.backgroundTasks.enqueue(stuck)
  await app.backgroundTasks.work({ drainTimeout: 20_000 })
  await turns(20)
  const handle = app.backgroundTasks.add({ timeout: 0 }, () => never)
  const took = await clock.until(app.close())
  t.ok(took > 20_000 && took <= 20_000 + AFTER, `${took} ms`)
  t.match(await handle.settled, { state: 'lost', error: { message: 'Task "anonymous" had not ended 20000 ms (drainTimeout) after the server closed' } })
})

await t.test('onShutdown has all the time it takes, and the adapter what was left', async t => {
  const hook = latch()
  const { app, adapter, clock } = await make(t, { hooks: { onShutdown: () => hook.opened } })
  adapter.beforeClose = () => never
  app.backgroundTasks.add({ timeout: 0 }, () => never)
  await turns()
  const closed = app.close()
  await clock.pass(60_000)
  hook.open()
  const took = await clock.until(closed)
  t.ok(took >= 400 && took <= AFTER, `${took} ms`)
})

/** Closes an application whose task is on its way to a queue that does not answer in time. `late` is that answer. */
async function giveUp (t: Test, late: () => unknown): Promise<{ handle: TaskHandle, lines: LogLines, app: FastifyInstance }> {
  const lines = new LogLines('warn')
  const answer = latch()
  const { app, adapter, clock } = await make(t, { enqueueTimeout: 60_000 }, { logger: lines.logger })
  adapter.before = () => answer.opened.then(late)
  app.backgroundTasks.add({ timeout: 0, name: 'deaf' }, () => never)
  await turns()
  const handle = app.backgroundTasks.add(task, { n: 1 })
  await clock.until(app.close())
  const before = { ...app.backgroundTasks.stats() }
  t.match(before, { added: 2, lost: 2, escalated: 0, pending: 0, running: 0 })
  const outcome = await handle.settled
  const unhandled: unknown[] = []
  const note = (reason: unknown): void => { unhandled.push(reason) }
  process.on('unhandledRejection', note)
  t.teardown(() => process.off('unhandledRejection', note))
  answer.open()
  await turns(20)
  // And the time in which the queue had to answer passes.
  await clock.pass(60_000, 5_000)
  t.strictSame(unhandled, [])
  t.strictSame(app.backgroundTasks.stats(), before, 'nothing changes any more')
  t.equal(await handle.settled, outcome)
  return { handle, lines, app }
}

const answers: Record<string, () => unknown> = {
  'that it has the job': () => {},
  'that it failed': () => { throw new Error('of the queue') }
}

for (const [what, answer] of Object.entries(answers)) {
  await t.test(`a task that the queue had not taken when time was over is lost, though the queue then says ${what}`, async t => {
    const { handle, lines } = await giveUp(t, answer)
    t.match(await handle.settled, { state: 'lost', attempts: 0, reason: 'shutdown', error: { code: 'FST_ERR_BGT_SHUTDOWN' } })
    t.match(lines.ofTasks.filter(({ taskId }) => taskId === handle.id), [
      { msg: 'background task could not be handed over to the queue', task: 'mail', err: { message: 'no answer before the application had to close' } },
      { msg: 'background task lost', reason: 'shutdown' }
    ])
  })
}

await t.test('a loss says whether the task had started', async t => {
  const { app, clock } = await make(t)
  const handles = ['runs', 'waits'].map(name => app.backgroundTasks.add({ name, timeout: 0 }, () => never))
  await turns()
  await clock.until(app.close())
  t.match(await Promise.all(handles.map(({ settled }) => settled)), [
    { state: 'lost', attempts: 1, error: { message: 'Task "runs" had not ended 8000 ms (drainTimeout) after the server closed' } },
    { state: 'lost', attempts: 0, error: { message: 'Task "waits" had not started 8000 ms (drainTimeout) after the server closed' } }
  ])
})
