import { once } from 'node:events'
import { mock } from 'node:test'
import type { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import type { ActiveJob, Job, JobVerdict } from '../../../types/index.ts'
import { ended, Runs, startBullmq, type Started } from '../../helpers/bullmq.ts'
import { completed, makeJob, makeJobs } from '../../helpers/job.ts'
import { build } from '../../helpers/build.ts'
import { Child } from '../../helpers/child.ts'
import { latch } from '../../helpers/latch.ts'
import { RedisServer, skipWithoutRedisServer } from '../../helpers/redis.ts'

const skip = skipWithoutRedisServer
const durable = ['--appendonly', 'yes', '--appendfsync', 'always']

const sure = { code: 'FST_ERR_BGT_QUEUE_UNAVAILABLE', statusCode: 503, ambiguous: false }
const unsure = { ...sure, ambiguous: true }

async function serve (t: Test, ...args: string[]): Promise<RedisServer> {
  const server = new RedisServer(t, ...args)
  await server.start()
  return server
}

/** Not `once` of node:events, which rejects for an error before. */
async function statusOf (client: Redis, event: 'ready' | 'close'): Promise<void> {
  const { opened, open } = latch()
  client.once(event, () => open())
  await opened
}

/** After an outage the worker's connection may be back before that of the producer. */
async function becomesReady ({ native: { client } }: Started['adapter']): Promise<void> {
  if (client.status !== 'ready') await statusOf(client, 'ready')
}

function watchForUnhandled (t: Test): Error[] {
  const seen: Error[] = []
  const see = (error: unknown): void => { seen.push(error as Error) }
  process.on('unhandledRejection', see)
  t.teardown(() => process.off('unhandledRejection', see))
  return seen
}

void t.test('Redis down at boot: enqueue fails at once, for sure, and all works when it comes', { skip }, async t => {
  const unhandled = watchForUnhandled(t)
  const server = new RedisServer(t)
  const { adapter, log } = await startBullmq(t, { connection: server.path })
  const runs = new Runs()
  await adapter.work('mail', runs.run, { concurrency: 1 })
  const job = makeJob()
  await t.rejects(adapter.enqueue([job]), sure)
  await t.rejects(adapter.enqueue(makeJobs(3)), sure)
  await t.rejects(adapter.native.queue('mail'), sure)
  await t.rejects(adapter.status!(job.id), sure)
  await t.rejects(adapter.cancel!(job.id), sure)
  t.match(await adapter.health(), { ok: false, warnings: [], error: /no connection within 250 ms/ })

  await server.start()
  await becomesReady(adapter)
  t.strictSame(await adapter.enqueue([job]), [{ id: job.id }])
  await runs.of(1)
  t.equal(runs.byId.get(job.id), 1)
  t.equal((await adapter.health()).ok, true)

  const failed = log.all.filter(({ msg }) => msg === 'background task queue: BullMQ, or its connection to Redis, has failed')
  t.equal(failed.length, new Set(failed.map(({ err }) => (err as Error).message)).size, 'each problem is logged once')
  t.ok(log.all.some(({ msg }) => msg === 'background task queue: Redis is connected again'))
  t.strictSame(unhandled, [])
})

void t.test('Redis down for good: closing ends nevertheless', { skip }, async t => {
  const unhandled = watchForUnhandled(t)
  const { adapter } = await startBullmq(t, { connection: new RedisServer(t).path })
  const consumer = await adapter.work('mail', () => Promise.resolve(completed), { concurrency: 1 })
  await consumer.close()
  await adapter.work('mail', () => Promise.resolve(completed), { concurrency: 1 })
  await adapter.close()
  await t.rejects(adapter.enqueue([makeJob()]), sure)
  t.strictSame(unhandled, [])
})

/** Enqueues one job after the other, many at a time, until told to stop. */
class Load {
  readonly acknowledged: Job[] = []
  readonly ambiguous: Job[] = []
  readonly refused: Job[] = []
  readonly #ended: Promise<unknown>
  readonly #wanted = latch()
  #stopped = false

  constructor (enqueue: (jobs: Job[]) => Promise<unknown>, wanted: number) {
    const send = async (): Promise<void> => {
      while (!this.#stopped) {
        const job = makeJob()
        try {
          await enqueue([job])
          this.acknowledged.push(job)
          if (this.acknowledged.length === wanted) this.#wanted.open()
        } catch (error) {
          (error as { ambiguous: boolean }).ambiguous ? this.ambiguous.push(job) : this.refused.push(job)
        }
      }
    }
    this.#ended = Promise.all(Array.from({ length: 20 }, send))
  }

  get flowing (): Promise<void> {
    return this.#wanted.opened
  }

  async stop (): Promise<void> {
    this.#stopped = true
    await this.#ended
  }
}

void t.test('Redis killed while jobs come in: what was acknowledged is stored and run, once', { skip }, async t => {
  const server = await serve(t, ...durable)
  const { adapter } = await startBullmq(t, { connection: server.path })
  const load = new Load(jobs => adapter.enqueue(jobs), 300)
  await load.flowing
  await server.kill()
  await load.stop()
  t.ok(load.ambiguous.length <= 20, 'only those under way may or may not be stored')

  await server.start()
  await becomesReady(adapter)
  const queue = await adapter.native.queue('mail')
  const stored = await queue.getPrioritizedCount()
  t.ok(stored >= load.acknowledged.length && stored <= load.acknowledged.length + load.ambiguous.length)

  const again = await Promise.all([...load.ambiguous, ...load.refused].map(async job => (await adapter.enqueue([job]))[0]!))
  const known = again.filter(({ deduplicated }) => deduplicated).length
  t.equal(stored, load.acknowledged.length + known, 'acknowledged and ambiguous add up to what is stored')
  t.ok(again.slice(load.ambiguous.length).every(({ deduplicated }) => deduplicated !== true), 'what was refused was not stored')

  const runs = new Runs()
  await adapter.work('mail', runs.run, { concurrency: 50 })
  const all = [...load.acknowledged, ...load.ambiguous, ...load.refused]
  await runs.of(all.length)
  t.ok(all.every(({ id }) => runs.byId.has(id)))
  t.equal(runs.byId.size, all.length)
  t.equal(runs.repeated, 0)
  t.comment(`${load.acknowledged.length} acknowledged, ${load.ambiguous.length} ambiguous (${known} stored), ${load.refused.length} refused, ${stored} stored`)
})

void t.test('Redis killed while jobs run: all end as completed, and only those under way run twice', { skip }, async t => {
  const unhandled = watchForUnhandled(t)
  const server = await serve(t, ...durable)
  const { adapter } = await startBullmq(t, { connection: server.path, lease: 1_000 })
  const jobs = makeJobs(300)
  await adapter.enqueue(jobs)
  const runs = new Runs()
  const concurrency = 10
  await adapter.work('mail', runs.run, { concurrency })
  await runs.of(100)
  await server.kill()
  await server.start()
  await runs.of(jobs.length)
  await ended({ connection: server.path }, 'completed', jobs.length)
  await becomesReady(adapter)
  for (const { id } of jobs) t.equal((await adapter.status!(id))?.state, 'completed')
  // Those that ran, and those that Redis had handed out when it was killed.
  t.ok(runs.repeated <= 2 * concurrency, `${runs.repeated} ran twice`)
  t.comment(`${jobs.length} completed, ${runs.repeated} ran twice`)
  t.strictSame(unhandled, [])
})

void t.test('Redis hangs: enqueue fails in time, first unsure, then for sure, and works when it is back', { skip }, async t => {
  const unhandled = watchForUnhandled(t)
  const server = await serve(t)
  const { adapter } = await startBullmq(t, { connection: server.path, commandTimeout: 2_000 })
  const runs = new Runs()
  await adapter.work('mail', runs.run, { concurrency: 1 })
  const [first, second] = makeJobs(2) as [Job, Job]
  await adapter.enqueue([first])
  await runs.of(1)

  const { client } = adapter.native
  const closed = statusOf(client, 'close')
  server.hang()
  await t.rejects(adapter.enqueue([second]), unsure)
  t.match(await adapter.health(), { ok: false })
  await closed
  await t.rejects(adapter.enqueue(makeJobs(1)), sure)

  server.resume()
  await becomesReady(adapter)
  await adapter.enqueue([second])
  await runs.of(2)
  t.strictSame([...runs.byId], [[first.id, 1], [second.id, 1]])
  t.strictSame(unhandled, [])
})

void t.test('Redis hangs: many jobs are unsure as one is, and none is where its queue was not open yet', { skip }, async t => {
  const unhandled = watchForUnhandled(t)
  const server = await serve(t)
  const { adapter } = await startBullmq(t, { connection: server.path, commandTimeout: 2_000 })
  await adapter.enqueue([makeJob()])
  const report = makeJob({ queue: 'reports' })
  const { client } = adapter.native
  const closed = statusOf(client, 'close')
  server.hang()
  await Promise.all([
    t.rejects(adapter.enqueue(makeJobs(3)), unsure),
    t.rejects(adapter.enqueue([report]), sure)
  ])
  await closed
  server.resume()
  await becomesReady(adapter)
  t.strictSame(await adapter.enqueue([report]), [{ id: report.id }])
  t.strictSame(unhandled, [])
})

void t.test('Redis takes no writes: nothing is cancelled, for sure', { skip }, async t => {
  const server = await serve(t)
  const { adapter } = await startBullmq(t, { connection: server.path })
  const job = makeJob()
  await adapter.enqueue([job])
  const { client } = adapter.native
  await client.replicaof('127.0.0.1', 1)
  await t.rejects(adapter.cancel!(job.id), { ...sure, message: /READONLY/ })
  t.match(await adapter.status!(job.id), { state: 'pending' })
  await client.replicaof('NO', 'ONE')
  t.equal(await adapter.cancel!(job.id), 'cancelled')
})

void t.test('Redis hangs: closing ends nevertheless', { skip }, async t => {
  const unhandled = watchForUnhandled(t)
  const server = await serve(t)
  const { adapter } = await startBullmq(t, { connection: server.path, commandTimeout: 2_000 })
  const begun = latch<ActiveJob>()
  await adapter.work('mail', job => {
    begun.open(job)
    return new Promise<JobVerdict>(() => {})
  }, { concurrency: 1 })
  await adapter.enqueue([makeJob()])
  const { signal } = await begun.opened
  server.hang()
  await adapter.close({ grace: 50 })
  t.match(signal.reason, { code: 'FST_ERR_BGT_QUEUE_UNAVAILABLE' })
  server.resume()
  t.strictSame(unhandled, [])
})

void t.test('A worker killed in a job: another has it within about the lease, as the same attempt', { skip }, async t => {
  build()
  const server = await serve(t)
  const { adapter, log } = await startBullmq(t, { connection: server.path, lease: 400 })
  const job = makeJob()
  await adapter.enqueue([job])
  await new Child(t, 'test/fixtures/bullmq-worker.js', [server.path, '400', '10']).exit
  const begun = latch<ActiveJob>()
  await adapter.work('mail', job => {
    begun.open(job)
    return Promise.resolve(completed)
  }, { concurrency: 1 })
  const { id, attempt } = await begun.opened
  t.strictSame({ id, attempt }, { id: job.id, attempt: 1 })
  t.ok(log.all.some(({ level, taskId }) => level === 40 && taskId === job.id), 'logged as a warning')
})

void t.test('A job that kills every worker ends as failed after maxStalled of them', { skip }, async t => {
  build()
  const server = await serve(t)
  const { adapter, log } = await startBullmq(t, { connection: server.path, lease: 400, maxStalled: 2 })
  const job = makeJob()
  await adapter.enqueue([job])
  for (let killed = 0; killed < 2; killed++) {
    const { signal } = await new Child(t, 'test/fixtures/bullmq-worker.js', [server.path, '400', '2']).exit
    t.equal(signal, 'SIGKILL')
  }
  const runs = new Runs()
  await adapter.work('mail', runs.run, { concurrency: 1 })
  await ended({ connection: server.path }, 'failed')
  t.match(await adapter.status!(job.id), { state: 'failed', error: { code: 'FST_ERR_BGT_STALLED', message: /2 workers in a row/ } })
  t.equal(runs.byId.size, 0)
  t.ok(log.all.some(({ level, taskId, task }) => level === 50 && taskId === job.id && task === job.task), 'logged as an error')
})

void t.test('A worker that loses its lease is told by its signal, and its verdict is not recorded', { skip }, async t => {
  const server = await serve(t)
  const { adapter } = await startBullmq(t, { connection: server.path, lease: 400 })
  const begun = latch<ActiveJob>()
  const end = latch<JobVerdict>()
  const job = makeJob()
  await adapter.work('mail', job => {
    begun.open(job)
    return end.opened
  }, { concurrency: 1 })
  await adapter.enqueue([job])
  const { signal } = await begun.opened
  const aborted = once(signal, 'abort')
  const queue = await adapter.native.queue('mail')
  await adapter.native.client.del(queue.toKey(`${job.id}:lock`))
  await aborted
  t.match(signal.reason, { code: 'FST_ERR_BGT_QUEUE_UNAVAILABLE', message: /lease/ })
  end.open({ state: 'failed', error: new Error('too late') })
})

/** As a task that keeps the loop busy does. */
function block (ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}

/** A worker with room for two, whose loop stands still until its lock has run out, and which then gets the job again. */
async function takenAgain (t: Test, server: RedisServer, end: (signal: AbortSignal) => Promise<JobVerdict>): Promise<{ adapter: Started['adapter'], job: Job, begun: number[] }> {
  const { adapter } = await startBullmq(t, { connection: server.path, lease: 400 })
  const begun: number[] = []
  let running = 0
  const stalled = latch()
  const job = makeJob()
  await adapter.work('mail', async ({ signal, attempt }) => {
    begun.push(attempt)
    t.equal(++running, 1, 'not twice at once')
    if (begun.length === 1) {
      block(600)
      await stalled.opened
    }
    const verdict = await end(signal)
    running--
    return verdict
  }, { concurrency: 2 })
  const worker = adapter.native.worker('mail')!
  // The event comes before the job does.
  worker.on('active', ({ attemptsStarted }) => { if (attemptsStarted === 2) setImmediate(() => stalled.open()) })
  await adapter.enqueue([job])
  await stalled.opened
  return { adapter, job, begun }
}

void t.test('A loop that stands still for longer than the lease: a job that comes again runs on, once', { skip }, async t => {
  const server = await serve(t)
  const { adapter, job, begun } = await takenAgain(t, server, () => Promise.resolve({ state: 'completed', result: 'done' }))
  await ended({ connection: server.path }, 'completed')
  t.match(await adapter.status!(job.id), { state: 'completed', result: 'done' })
  t.strictSame(begun, [1])
})

void t.test('A job that ends as its lease was lost, and came again, begins anew once it has ended', { skip }, async t => {
  const server = await serve(t)
  let ends = 0
  const { adapter, job, begun } = await takenAgain(t, server, async signal => {
    if (++ends > 1) return completed
    if (!signal.aborted) await once(signal, 'abort')
    return { state: 'cancelled', error: signal.reason as Error }
  })
  await ended({ connection: server.path }, 'completed')
  t.match(await adapter.status!(job.id), { state: 'completed', attempts: 1 })
  t.strictSame(begun, [1, 1])
})

void t.test('A worker whose clock is set back keeps its jobs', { skip }, async t => {
  build()
  const server = await serve(t)
  const options = { connection: server.path, lease: 400 }
  const [first, second] = [await startBullmq(t, options), await startBullmq(t, options)]
  const [living, dead] = makeJobs(2) as [Job, Job]
  const begun: string[] = []
  const [runs, comesAgain, letGo] = [latch(), latch(), latch()]
  await first.adapter.enqueue([living])
  await first.adapter.work('mail', async ({ id }) => {
    begun.push(id)
    runs.open()
    await letGo.opened
    return completed
  }, { concurrency: 1 })
  await runs.opened
  const now = Date.now.bind(Date)
  mock.method(Date, 'now', () => now() - 3_600_000)
  t.teardown(() => mock.reset())
  await first.adapter.enqueue([dead])
  await new Child(t, 'test/fixtures/bullmq-worker.js', [server.path, '400', '10']).exit
  await second.adapter.work('mail', ({ id }) => {
    begun.push(id)
    comesAgain.open()
    return Promise.resolve(completed)
  }, { concurrency: 2 })
  await comesAgain.opened
  t.strictSame(begun, [living.id, dead.id], 'what was taken after it has lost its lease, and it has not')
  letGo.open()
  await ended(options, 'completed', 2)
  t.equal(begun.length, 2)
})

void t.test('A job whose worker has died after it was cancelled does not run again', { skip }, async t => {
  build()
  const server = await serve(t)
  const { adapter } = await startBullmq(t, { connection: server.path, lease: 400 })
  const job = makeJob()
  await adapter.enqueue([job])
  await new Child(t, 'test/fixtures/bullmq-worker.js', [server.path, '400', '10']).exit
  t.equal(await adapter.cancel!(job.id), 'running')
  const wished = latch<boolean>()
  await adapter.work('mail', ({ signal }) => {
    wished.open(signal.aborted)
    return Promise.resolve({ state: 'cancelled', error: signal.reason as Error })
  }, { concurrency: 1 })
  t.equal(await wished.opened, true, 'its signal has aborted from the start')
  await ended({ connection: server.path }, 'completed')
  t.match(await adapter.status!(job.id), { state: 'cancelled' })
})
