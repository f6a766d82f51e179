import t, { type Test } from 'tap'
import { defineTask } from '../../lib/index.ts'
import { memory } from '../../lib/adapters/memory/index.ts'
import type { BackgroundTasksOptions, TaskContext, TaskInfo } from '../../types/index.ts'
import { makeApp } from '../helpers/app.ts'
import { becomes } from '../helpers/jobs.ts'
import { latch } from '../helpers/latch.ts'
import { LogLines } from '../helpers/log-lines.ts'
import { fakeTimers, passTimeUntil, turns } from '../helpers/timers.ts'

type Write = (value: unknown, keep: () => Promise<void>) => Promise<void>

/** Runs a task as a job, whose progress goes through `write`. */
async function enqueued (t: Test, { run, write, ...options }: BackgroundTasksOptions & { run: (context: TaskContext) => unknown, write: Write }): Promise<{ state: (state: string) => Promise<TaskInfo>, lines: LogLines }> {
  const lines = new LogLines('warn')
  const adapter = memory()
  const { work } = adapter
  adapter.work = (queue, run, options) => work.call(adapter, queue, job => run({ ...job, progress: value => write(value, () => job.progress(value)) }), options)
  const task = defineTask({ name: 'report', run: (_payload, context) => run(context) })
  const app = await makeApp(t, { adapter, tasks: [task], ...options }, { logger: lines.logger })
  await app.ready()
  await app.backgroundTasks.work()
  const { id } = await app.backgroundTasks.enqueue(task)
  return { state: state => becomes(app, id, state), lines }
}

await t.test('one value is written at a time, of the others only the latest, and that before the verdict', async t => {
  const written: unknown[] = []
  const first = latch()
  let underWay = 0
  const { state, lines } = await enqueued(t, {
    run ({ progress }) {
      const value = { done: 0 }
      for (; value.done < 1_000; value.done++) progress(value)
      first.open()
    },
    async write (value, keep) {
      t.equal(++underWay, 1)
      await first.opened
      await turns()
      written.push(value)
      await keep()
      underWay--
    }
  })
  t.match(await state('completed'), { progress: { done: 999 } })
  t.strictSame(written, [{ done: 0 }, { done: 999 }], 'each as it was at its call')
  t.strictSame(lines.ofTasks, [])
})

await t.test('a value that comes after another was written is written as well', async t => {
  const written: unknown[] = []
  const wrote = latch()
  const { state } = await enqueued(t, {
    async run ({ progress }) {
      progress(1)
      await wrote.opened
      await turns()
      progress(2)
    },
    async write (value, keep) {
      written.push(value)
      await keep()
      wrote.open()
    }
  })
  t.match(await state('completed'), { progress: 2 })
  t.strictSame(written, [1, 2])
})

await t.test('a value has maxPayload bytes at the most; what cannot be kept is told in one line for the attempt', async t => {
  const written: unknown[] = []
  const { state, lines } = await enqueued(t, {
    maxPayload: 100,
    run ({ progress }) {
      progress('é'.repeat(49))
      for (let i = 0; i < 1_000; i++) progress('é'.repeat(50))
      progress(1n)
    },
    async write (value, keep) {
      written.push(value)
      await keep()
    }
  })
  await state('completed')
  t.strictSame(written, ['é'.repeat(49)])
  t.match(lines.ofTasks, [{ level: 40, msg: 'background task progress was not kept', err: { message: 'it has more than 100 bytes (maxPayload)' } }])
  t.equal(lines.ofTasks.length, 1)
})

await t.test('a queue that refuses each value is told of in one line', async t => {
  const { state, lines } = await enqueued(t, {
    async run ({ progress }) {
      for (let i = 0; i < 100; i++) {
        progress(i)
        await turns(1)
      }
    },
    write: () => Promise.reject(new Error('connection lost'))
  })
  await state('completed')
  t.match(lines.ofTasks, [{ msg: 'background task progress was not kept' }])
  t.equal(lines.ofTasks.length, 1)
})

await t.test('a value of a function that goes on after its attempt is not written', async t => {
  fakeTimers(t)
  const written: unknown[] = []
  const late = latch<TaskContext>()
  const never = latch()
  const { state } = await enqueued(t, {
    timeout: 100,
    run (context) {
      context.progress('in time')
      late.open(context)
      return never.opened
    },
    async write (value, keep) {
      written.push(value)
      await keep()
    }
  })
  t.match(await passTimeUntil(state('failed')), { progress: 'in time' })
  const { progress } = await late.opened
  progress('too late')
  await turns()
  t.strictSame(written, ['in time'])
  never.open()
})

await t.test('a value that is never written holds the verdict up for 5 s, and no other follows it', async t => {
  const timers = fakeTimers(t)
  const written: unknown[] = []
  const write = latch()
  const { state, lines } = await enqueued(t, {
    run ({ progress }) {
      progress(1)
      progress(2)
      return 'done'
    },
    async write (value) {
      written.push(value)
      await write.opened
    }
  })
  await state('running')
  timers.tick(4_999)
  await turns()
  await state('running')
  timers.tick(1)
  t.match(await state('completed'), { result: 'done' })
  t.match(lines.ofTasks, [{ msg: 'background task progress was not kept', err: { message: 'no answer within 5000 ms' } }])
  write.open()
  await turns()
  t.strictSame(written, [1])
})
