import { setImmediate } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import type { Stats } from '../../types/index.ts'
import { makeApp } from '../helpers/app.ts'
import { latch } from '../helpers/latch.ts'
import { fakeTimers, passTimeUntil, turns } from '../helpers/timers.ts'

const nothing: Stats = {
  added: 0,
  pending: 0,
  running: 0,
  completed: 0,
  failed: 0,
  skipped: 0,
  cancelled: 0,
  escalated: 0,
  lost: 0,
  retrying: 0,
  abandoned: 0,
  enqueued: 0
}

function balance ({ added, pending, running, completed, failed, skipped, cancelled, escalated, lost }: Stats): number {
  return added - pending - running - completed - failed - skipped - cancelled - escalated - lost
}

function fail (): never {
  throw new Error('failed')
}

await t.test('an app that has done nothing counts nothing', async t => {
  const app = await makeApp(t)
  t.same(app.backgroundTasks.stats(), nothing)
})

await t.test('stats are those of their moment', async t => {
  const app = await makeApp(t)
  const before = app.backgroundTasks.stats()
  app.backgroundTasks.add(() => {})
  t.same(before, nothing)
  await app.backgroundTasks.idle()
})

await t.test('a task is counted where it is, at each step', async t => {
  const timers = fakeTimers(t)
  const app = await makeApp(t)
  const free = latch()
  const stats = (): Stats => app.backgroundTasks.stats()
  app.backgroundTasks.add({ retry: { attempts: 2, delay: 10 } }, ({ attempt }) => {
    t.same(stats(), { ...nothing, added: 1, running: 1 })
    return attempt === 1 ? fail() : free.opened
  })
  t.same(stats(), { ...nothing, added: 1, pending: 1 })
  await turns()
  t.same(stats(), { ...nothing, added: 1, pending: 1, retrying: 1 })
  timers.tick(10)
  await turns()
  t.same(stats(), { ...nothing, added: 1, running: 1 })
  free.open()
  await app.backgroundTasks.idle()
  t.same(stats(), { ...nothing, added: 1, completed: 1 })
})

await t.test('the tasks of a request count from the moment they are added', async t => {
  const app = await makeApp(t)
  app.get('/', request => {
    request.backgroundTasks.add(() => {})
    request.backgroundTasks.add({ when: 'error' }, () => {})
    t.match(app.backgroundTasks.stats(), { added: 2, pending: 2 })
    return 'answered'
  })
  await app.inject('/')
  t.match(app.backgroundTasks.stats(), { added: 2, pending: 1, skipped: 1 })
  await app.backgroundTasks.idle()
  t.same(app.backgroundTasks.stats(), { ...nothing, added: 2, completed: 1, skipped: 1 })
})

/** Ways for a task to end, each with the counter that it ends in. */
const ways: Record<string, (app: FastifyInstance) => void> = {
  completed: app => { app.backgroundTasks.add(() => setImmediate()) },
  failed: app => { app.backgroundTasks.add({ retry: { attempts: 2, delay: 1 } }, fail) },
  cancelled: app => { app.backgroundTasks.add(() => {}).cancel() },
  skipped: app => { void app.inject('/skipped') },
  lost: app => { app.backgroundTasks.add({ timeout: 0 }, () => new Promise(() => {})) }
}

await t.test('whatever becomes of tasks, added is the sum of all the rest, at every moment', async t => {
  const timers = fakeTimers(t)
  let moments = 0
  const check = (): void => {
    moments++
    const stats = app.backgroundTasks.stats()
    if (balance(stats) !== 0) t.same(stats, 'a sum that is right')
  }
  const hooks = { onTaskStart: check, onTaskCompleted: check, onTaskFailed: check, onTaskRetry: check, onTaskSkipped: check, onTaskLost: check }
  const app: FastifyInstance = await makeApp(t, { concurrency: 60, hooks })
  app.get('/skipped', request => {
    request.backgroundTasks.add({ when: 'error' }, () => t.fail('ran'))
    check()
    return 'answered'
  })
  await app.ready()
  for (let n = 0; n < 250; n++) {
    Object.values(ways)[n % 5]!(app)
    check()
    if (n % 10 === 0) await turns(1)
  }
  const isAtRest = ({ pending, retrying, running }: Stats): boolean => pending === retrying && running === 50
  while (!isAtRest(app.backgroundTasks.stats())) await turns(1)
  timers.tick(1)
  while (app.backgroundTasks.stats().failed < 50) await turns(1)
  await passTimeUntil(app.close())
  check()
  t.same(app.backgroundTasks.stats(), { ...nothing, added: 250, completed: 50, failed: 50, cancelled: 50, skipped: 50, lost: 50, abandoned: 50 })
  t.ok(moments > 500)
})
