import { mock } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { fastify } from 'fastify'
import t, { type Test } from 'tap'
import { memory, type MemoryOptions, type MemoryStore } from '../../../lib/adapters/memory/index.ts'
import { MAX_TIMER } from '../../../lib/check.ts'
import type { ActiveJob, Job, JobVerdict, QueueAdapter } from '../../../types/index.ts'
import { fakeTimers, turns } from '../../helpers/timers.ts'

const { log } = fastify()
const completed: JobVerdict = { state: 'completed', result: undefined }

async function started (t: Test, options?: MemoryOptions): Promise<QueueAdapter<MemoryStore>> {
  const adapter = memory(options)
  await adapter.start({ queues: ['mail'], log })
  t.teardown(() => adapter.close({ grace: 0 }))
  return adapter
}

function job (given: Partial<Job> = {}): Job {
  return {
    id: crypto.randomUUID(),
    queue: 'mail',
    task: 'welcome',
    data: { payload: null, version: 1, enqueuedAt: 0 },
    delay: 0,
    priority: 50,
    retry: { attempts: 1, delay: 0, backoff: 'fixed', maxDelay: 0, jitter: 0 },
    ...given
  }
}

await t.test('says which option is wrong', t => {
  for (const [options, problem] of [
    [{ maxPending: 0 }, 'options/maxPending: Expected integer to be greater or equal to 1, got 0'],
    [{ maxEnded: 1.5 }, 'options/maxEnded: Expected integer, got 1.5'],
    [{ retention: { failed: -1 } }, 'options/retention/failed: Expected number to be greater or equal to 0, got -1'],
    [{ retain: 1 }, 'options/retain: Unexpected property']
  ] as const) {
    t.throws(() => memory(options as MemoryOptions), { code: 'FST_ERR_BGT_INVALID_OPTIONS', message: `Invalid ${problem}` })
  }
  t.end()
})

await t.test('refuses jobs above maxPending, and takes them again once others have ended', async t => {
  const adapter = await started(t, { maxPending: 2 })
  const [first, second, third] = [job(), job(), job()]
  t.match(await adapter.enqueue([first, second, third]), [
    { id: first.id, error: undefined },
    { id: second.id, error: undefined },
    { id: third.id, error: { code: 'FST_ERR_BGT_OVERFLOW', statusCode: 503 } }
  ])
  t.equal(await adapter.status!(third.id), null)
  await adapter.cancel!(first.id)
  t.strictSame(await adapter.enqueue([third]), [{ id: third.id }])
})

await t.test('keeps the latest maxEnded jobs that have ended', async t => {
  const adapter = await started(t, { maxEnded: 2 })
  const jobs = [job(), job(), job()]
  await adapter.enqueue(jobs)
  for (const { id } of jobs) await adapter.cancel!(id)
  t.strictSame(await Promise.all(jobs.map(async ({ id }) => (await adapter.status!(id))?.state)), [undefined, 'cancelled', 'cancelled'])
})

await t.test('delays by the global setTimeout, however long', async t => {
  const timers = fakeTimers(t)
  const adapter = await started(t)
  const ran: string[] = []
  await adapter.work('mail', ({ task }) => {
    ran.push(task)
    return Promise.resolve(completed)
  }, { concurrency: 1 })
  const month = 30 * 86_400_000
  await adapter.enqueue([job({ task: 'in a month', delay: month }), job({ task: 'in a second', delay: 1_000 })])
  await turns()
  t.strictSame(ran, [])
  timers.tick(1_000)
  await turns()
  t.strictSame(ran, ['in a second'])
  // The fake clock counts a timer that is set during a tick from the end of that tick.
  timers.tick(MAX_TIMER - 1_000)
  timers.tick(month - MAX_TIMER - 1)
  await turns()
  t.strictSame(ran, ['in a second'])
  timers.tick(1)
  await turns()
  t.strictSame(ran, ['in a second', 'in a month'])
})

await t.test('forgets by the clock', async t => {
  mock.timers.enable({ apis: ['Date'] })
  t.teardown(() => mock.timers.reset())
  const adapter = await started(t)
  const { id } = job()
  await adapter.enqueue([job({ id })])
  await adapter.cancel!(id)
  mock.timers.tick(86_399_999)
  t.equal((await adapter.status!(id))?.state, 'cancelled')
  mock.timers.tick(1)
  t.equal(await adapter.status!(id), null)
})

await t.test('a run that has lost its job cannot change it', async t => {
  const adapter = await started(t)
  const runs: ActiveJob[] = []
  const run = (active: ActiveJob): Promise<JobVerdict> => {
    runs.push(active)
    return new Promise(() => {})
  }
  const consumer = await adapter.work('mail', run, { concurrency: 1 })
  const { id } = job()
  await adapter.enqueue([job({ id })])
  while (runs.length === 0) await setImmediate()
  await consumer.close({ grace: 0 })
  t.match(runs[0]?.signal.reason, { code: 'FST_ERR_BGT_QUEUE_UNAVAILABLE' })
  await runs[0]?.progress('late')
  t.match(await adapter.status!(id), { state: 'pending', progress: undefined })
  t.equal(adapter.native.cancel(id), 'cancelled')
})

await t.test('ends once', async t => {
  const adapter = await started(t)
  const { id } = job()
  await adapter.enqueue([job({ id })])
  const delivery = adapter.native.take('mail')!
  adapter.native.settle(delivery, completed)
  adapter.native.takeBack(delivery)
  t.equal((await adapter.status!(id))?.state, 'completed')
})

await t.test('closes its own store, and not one that it was given', async t => {
  const owner = await started(t)
  const guest = await started(t, { store: owner.native })
  const { id } = job({ delay: 60_000 })
  await guest.enqueue([job({ id, delay: 60_000 })])
  await guest.close()
  t.equal((await owner.status!(id))?.state, 'scheduled')
  await owner.close()
  t.equal(await owner.status!(id), null)
})
