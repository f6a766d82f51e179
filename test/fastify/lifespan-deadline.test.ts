import { setImmediate } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { TaskContext, TaskHandle } from '../../types/index.ts'
import { makeApp } from '../helpers/app.ts'
import { latch } from '../helpers/latch.ts'
import { LogLines } from '../helpers/log-lines.ts'
import { fakeTimers, passTimeUntil, turns } from '../helpers/timers.ts'

/** Ends when its signal aborts, by throwing the reason. */
function untilAborted ({ signal }: TaskContext): Promise<never> {
  return new Promise((_resolve, reject) => { signal.onabort = () => reject(signal.reason as Error) })
}

/** Closes an app whose time is up at once, with one task running. */
async function closeOn (t: Test, run: (context: TaskContext) => unknown): Promise<TaskHandle> {
  fakeTimers(t)
  const app = await makeApp(t, { drainTimeout: 0 })
  await app.ready()
  const handle = app.backgroundTasks.add({ name: 'mail', timeout: 0 }, run)
  await turns()
  await passTimeUntil(app.close())
  return handle
}

await t.test('tasks that add tasks for ever end with the drain', async t => {
  fakeTimers(t)
  const app = await makeApp(t)
  await app.ready()
  const added: TaskHandle[] = []
  const add = (): void => {
    added.push(app.backgroundTasks.add(async () => {
      await setImmediate()
      add()
    }))
  }
  add()
  await passTimeUntil(app.close())
  // It was in line already, or the one before has added it since.
  t.match(await added.at(-1)!.settled, { state: 'lost', attempts: 0, reason: /^(shutdown|closed)$/ })
  t.hasStrict(await added.at(-2)!.settled, { state: 'completed' })
  const { added: total, completed, lost } = app.backgroundTasks.stats()
  t.same([completed, lost], [total - 1, 1])
})

await t.test('once time is up, what runs and what waits is told to onTaskLost by name, which close() waits for', async t => {
  const saved: unknown[] = []
  const lines = new LogLines('error')
  const started = [latch(), latch()]
  const app = await makeApp(t, {
    concurrency: 2,
    drainTimeout: 10,
    hooks: {
      async onTaskLost ({ name, attempt, reason, error }) {
        await turns(20)
        saved.push([name, attempt, reason, (error as Error & { code: string }).code])
      }
    }
  }, { logger: lines.logger })
  await app.ready()
  const add = app.backgroundTasks.add.bind(app.backgroundTasks)
  for (const [index, name] of ['runs a', 'runs b'].entries()) {
    add({ name }, context => {
      started[index]!.open()
      return untilAborted(context)
    })
  }
  for (const name of ['waits a', 'waits b']) add({ name }, () => t.fail('ran'))
  await Promise.all(started.map(({ opened }) => opened))
  await app.close()
  t.same(saved.toSorted(), [
    ['runs a', 1, 'shutdown', 'FST_ERR_BGT_SHUTDOWN'],
    ['runs b', 1, 'shutdown', 'FST_ERR_BGT_SHUTDOWN'],
    ['waits a', 0, 'shutdown', 'FST_ERR_BGT_SHUTDOWN'],
    ['waits b', 0, 'shutdown', 'FST_ERR_BGT_SHUTDOWN']
  ])
  t.same(lines.ofTasks.map(({ msg, task }) => [msg, task]).toSorted(), [
    ['background task lost', 'runs a'],
    ['background task lost', 'runs b'],
    ['background task lost', 'waits a'],
    ['background task lost', 'waits b']
  ])
})

await t.test('the error of a loss names the task and the time it had', async t => {
  const handle = await closeOn(t, untilAborted)
  const outcome = await handle.settled
  t.match(outcome, { state: 'lost', attempts: 1, reason: 'shutdown', error: { message: 'Task "mail" had not ended 0 ms (drainTimeout) after the server closed' } })
})

await t.test('a task that throws something of its own when it is aborted is lost all the same, and not retried', async t => {
  const error = new Error('interrupted')
  const handle = await closeOn(t, ({ signal }) => new Promise((_resolve, reject) => { signal.onabort = () => reject(error) }))
  t.match(await handle.settled, { state: 'lost', attempts: 1, reason: 'shutdown', error })
})

await t.test('a task that ends well in spite of the abort is completed', async t => {
  const handle = await closeOn(t, ({ signal }) => new Promise(resolve => { signal.onabort = () => resolve('saved') }))
  t.hasStrict(await handle.settled, { state: 'completed', result: 'saved' })
})

await t.test('a task that ignores the abort is lost and abandoned, and close() goes on', async t => {
  fakeTimers(t)
  const app = await makeApp(t, { drainTimeout: 0 })
  await app.ready()
  const free = latch()
  const handle = app.backgroundTasks.add({ timeout: 0 }, () => free.opened)
  await turns()
  await passTimeUntil(app.close())
  t.match(await handle.settled, { state: 'lost', attempts: 1, reason: 'shutdown', error: { code: 'FST_ERR_BGT_SHUTDOWN' } })
  t.match(app.backgroundTasks.stats(), { running: 0, lost: 1, abandoned: 1 })
  free.open()
  await turns()
  t.match(app.backgroundTasks.stats(), { lost: 1, abandoned: 0 })
})

await t.test('the tasks of a request that is never answered are lost', async t => {
  fakeTimers(t)
  const app = await makeApp(t)
  const received = latch<TaskHandle>()
  const free = latch()
  app.get('/', async request => {
    received.open(request.backgroundTasks.add(() => t.fail('ran')))
    await free.opened
    return 'answered'
  })
  const response = app.inject('/')
  const handle = await received.opened
  await passTimeUntil(app.close())
  t.hasStrict(await handle.settled, { state: 'lost', attempts: 0, reason: 'shutdown' })
  free.open()
  await response
  await turns()
  t.match(app.backgroundTasks.stats(), { added: 1, lost: 1 })
})

await t.test('a running task that was cancelled stays cancelled', async t => {
  fakeTimers(t)
  const app = await makeApp(t, { drainTimeout: 0 })
  await app.ready()
  const free = latch()
  const handle = app.backgroundTasks.add({ timeout: 0 }, () => free.opened)
  await turns()
  handle.cancel()
  await passTimeUntil(app.close())
  t.match(await handle.settled, { state: 'cancelled', error: { code: 'FST_ERR_BGT_CANCELLED' } })
  free.open()
})

await t.test('a task that was cancelled while it waited is not lost', async t => {
  fakeTimers(t)
  const app = await makeApp(t, { concurrency: 1, drainTimeout: 0 })
  await app.ready()
  app.backgroundTasks.add({}, untilAborted)
  const handle = app.backgroundTasks.add(() => t.fail('ran'))
  await turns()
  handle.cancel()
  await passTimeUntil(app.close())
  t.match(app.backgroundTasks.stats(), { added: 2, cancelled: 1, lost: 1 })
})

await t.test('close() does not wait for ever for a hook', async t => {
  fakeTimers(t)
  const app = await makeApp(t, { hooks: { onTaskCompleted: () => new Promise(() => {}) } })
  await app.ready()
  const handle = app.backgroundTasks.add(() => {})
  await passTimeUntil(app.close())
  t.equal(handle.state, 'completed')
})

await t.test('close() gives a hook a second, and no more where the drain was over soon', async t => {
  const timers = fakeTimers(t)
  const app = await makeApp(t, { drainTimeout: 60_000, hooks: { onTaskCompleted: () => new Promise(() => {}) } })
  await app.ready()
  await app.backgroundTasks.add(() => {}).settled
  const seen = { closed: false }
  const closed = app.close().then(() => { seen.closed = true })
  await turns(20)
  timers.tick(999)
  await turns(20)
  t.notOk(seen.closed)
  timers.tick(1)
  await closed
})
