import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import { memory } from '../../lib/adapters/memory/index.ts'
import { defineTask } from '../../lib/index.ts'
import { makeApp } from '../helpers/app.ts'
import { latch } from '../helpers/latch.ts'
import { LogLines } from '../helpers/log-lines.ts'

const STANDSTILL = 'background task ran while the event loop was blocked: by it, or by a request'

function block (ms: number): void {
  const end = performance.now() + ms
  while (performance.now() < end);
}

/** Two looks of the watch, whose timer is started before this one's. */
async function looks (): Promise<void> {
  await setTimeout(250)
}

await t.test('a task that blocks after its first await is named, if no other runs', async t => {
  const lines = new LogLines('warn')
  const app = await makeApp(t, {}, { logger: lines.logger })
  const { id, settled } = app.backgroundTasks.add({ name: 'late cruncher' }, async () => {
    await looks()
    block(400)
  })
  await settled
  await looks()
  t.match(lines.ofTasks, [{ level: 40, msg: STANDSTILL, task: 'late cruncher', taskId: id, attempt: 1 }])
  t.equal(lines.ofTasks.length, 1)
})

await t.test('one that goes on is named as well', async t => {
  const lines = new LogLines('warn')
  const app = await makeApp(t, {}, { logger: lines.logger })
  const end = latch()
  const { settled } = app.backgroundTasks.add({ name: 'going on' }, () => end.opened)
  await looks()
  block(400)
  await looks()
  t.match(lines.ofTasks, [{ msg: STANDSTILL, task: 'going on' }])
  end.open()
  await settled
})

await t.test('where several run, nobody can tell', async t => {
  const lines = new LogLines('warn')
  const app = await makeApp(t, {}, { logger: lines.logger })
  const end = latch()
  for (const name of ['one', 'other']) app.backgroundTasks.add({ name }, () => end.opened)
  await looks()
  block(400)
  await looks()
  t.same(lines.ofTasks, [])
  end.open()
  await app.backgroundTasks.idle()
})

await t.test('in a worker: a synchronous part, and a part after an await', async t => {
  const lines = new LogLines('warn')
  const crunch = defineTask({ name: 'crunch', run: () => block(150) })
  const later = defineTask({
    name: 'later',
    run: async () => {
      await looks()
      block(400)
    }
  })
  const app = await makeApp(t, { tasks: [crunch, later], adapter: memory() }, { logger: lines.logger })
  await app.ready()
  const worker = await app.backgroundTasks.work({ concurrency: 1 })
  await app.backgroundTasks.enqueue(crunch)
  await app.backgroundTasks.enqueue(later)
  while (worker.stats().completed < 2) await looks()
  await looks()
  const told = lines.ofTasks.map(({ msg, task }) => [msg, task])
  t.same(told, [['background task blocked the event loop', 'crunch'], [STANDSTILL, 'later']])
})

await t.test('in a worker, a job that goes on', async t => {
  const lines = new LogLines('warn')
  const [started, end] = [latch(), latch()]
  const hold = defineTask({
    name: 'hold',
    run: async () => {
      started.open()
      await end.opened
    }
  })
  const app = await makeApp(t, { tasks: [hold], adapter: memory() }, { logger: lines.logger })
  await app.ready()
  await app.backgroundTasks.work()
  await app.backgroundTasks.enqueue(hold)
  await started.opened
  await looks()
  block(400)
  await looks()
  end.open()
  t.match(lines.ofTasks, [{ msg: STANDSTILL, task: 'hold' }])
})
