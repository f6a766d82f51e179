import { setTimeout } from 'node:timers/promises'
import { FlowProducer } from 'bullmq'
import { pino } from 'pino'
import t from 'tap'
import { asUnavailable } from '../../../lib/adapters/bullmq/connection.ts'
import { bullmq } from '../../../lib/adapters/bullmq/index.ts'
import { toVerdictError } from '../../../lib/failure.ts'
import type { Scripts } from '../../../lib/adapters/bullmq/scripts.ts'
import type { ActiveJob, Job, JobVerdict, Schedule } from '../../../types/index.ts'
import { ended, Runs, startBullmq, type Started } from '../../helpers/bullmq.ts'
import { completed, dataOf, makeJob, makeJobs } from '../../helpers/job.ts'
import { type Latch, latch } from '../../helpers/latch.ts'
import { LogLines } from '../../helpers/log-lines.ts'
import { RedisServer, removeKeys, sharedRedis, skipWithoutRedis, skipWithoutRedisServer } from '../../helpers/redis.ts'

const skip = skipWithoutRedis
const connection = skip === false ? await sharedRedis(t) : ''
const prefix = `bgt-test-${process.pid}`
if (skip === false) t.teardown(() => removeKeys(connection, prefix))

/** A prefix for each test. */
let made = 0
const own = (): { connection: string, prefix: string } => ({ connection, prefix: `${prefix}:${made++}` })

const schedule: Schedule = {
  name: 'nightly',
  cron: '0 3 * * *',
  queue: 'mail',
  task: 'report',
  data: { payload: null, version: 1 },
  priority: 50,
  retry: makeJob().retry
}

/** Opens with the first job that begins. */
async function work (adapter: Started['adapter']): Promise<Latch<ActiveJob>> {
  const begun = latch<ActiveJob>()
  await adapter.work('mail', job => {
    begun.open(job)
    return Promise.resolve(completed)
  }, { concurrency: 1 })
  return begun
}

void t.test('options are checked at once, with path, expectation and what came', { skip }, t => {
  const refused = (options: unknown, message: RegExp): void => {
    t.throws(() => bullmq(options as Parameters<typeof bullmq>[0]), { code: 'FST_ERR_BGT_INVALID_OPTIONS', message })
  }
  refused({}, /bullmq\/connection: Expected a URL, or options of ioredis, got undefined/)
  refused({ connection: '' }, /bullmq\/connection/)
  refused({ connection, lease: 50 }, /bullmq\/lease: .*100, got 50/)
  refused({ connection, maxStalled: 0 }, /bullmq\/maxStalled/)
  refused({ connection, commandTimeout: 2 ** 31 }, /bullmq\/commandTimeout/)
  refused({ connection, retention: { completed: -1 } }, /bullmq\/retention\/completed/)
  refused({ connection, conection: 1 }, /bullmq\/conection/)
  refused({ connection: { keyPrefix: 'x:' } }, /keyPrefix: Expected none/)
  t.end()
})

void t.test('a queue whose name BullMQ does not take is refused at start', { skip }, async t => {
  const adapter = bullmq({ connection })
  for (const name of ['', 'a:b']) {
    await t.rejects(adapter.start({ queues: [name], log: undefined as never }), { code: 'FST_ERR_BGT_INVALID_OPTIONS' })
  }
})

void t.test('before start and after close nothing is stored, for sure', { skip }, async t => {
  const adapter = bullmq({ connection })
  const refused = { code: 'FST_ERR_BGT_QUEUE_UNAVAILABLE', ambiguous: false }
  await t.rejects(adapter.enqueue([makeJob()]), { ...refused, message: /not started/ })
  t.match(await adapter.health(), { ok: false, error: /not started/ })
  t.throws(() => adapter.native.client, refused)
  await adapter.close()
  await t.rejects(adapter.enqueue([makeJob()]), { ...refused, message: /closed/ })
})

void t.test('closed while it starts, it leaves no connection behind', { skip }, async t => {
  const adapter = bullmq({ connection })
  const log = new LogLines('info')
  const starting = adapter.start({ queues: ['mail'], log: pino({ level: 'info' }, log.logger.stream) })
  await adapter.close()
  await starting
  await t.rejects(adapter.enqueue([makeJob()]), { code: 'FST_ERR_BGT_QUEUE_UNAVAILABLE', message: /closed/ })
  t.strictSame(log.all, [])
})

void t.test('a transaction is refused, and many jobs whose signal has aborted', { skip }, async t => {
  const { adapter } = await startBullmq(t, own())
  await t.rejects(adapter.enqueue([makeJob()], { tx: {} }), { code: 'FST_ERR_BGT_NO_CAPABILITY' })
  await t.rejects(adapter.enqueue(makeJobs(2), { signal: AbortSignal.abort() }), { code: 'FST_ERR_BGT_QUEUE_UNAVAILABLE', ambiguous: false })
})

void t.test('the engine is within reach: queue, worker, client, and options of both', { skip }, async t => {
  const options = own()
  const { adapter } = await startBullmq(t, {
    ...options, queueOptions: { defaultJobOptions: { keepLogs: 7 } }, workerOptions: { name: 'postman', drainDelay: 1 }
  })
  t.equal(adapter.native.worker('mail'), undefined)
  const begun = latch<ActiveJob>()
  const end = latch<JobVerdict>()
  const consumer = await adapter.work('mail', job => {
    begun.open(job)
    return end.opened
  }, { concurrency: 4 })
  const worker = adapter.native.worker('mail')!
  t.match(worker.opts, { name: 'postman', drainDelay: 1, concurrency: 4, prefix: options.prefix, lockDuration: 10_000, maxStalledCount: 9 })
  const [job] = makeJobs(1, { delay: 0.5, priority: 100 }) as [Job]
  await adapter.enqueue([job])
  await begun.opened
  const queue = await adapter.native.queue('mail')
  t.equal(await adapter.native.queue('mail'), queue)
  const stored = await queue.getJob(job.id)
  t.match(stored, { name: job.task, data: job.data, priority: 1, processedBy: 'postman', opts: { keepLogs: 7, attempts: 3, stackTraceLimit: 1, delay: 1 } })
  t.equal(await adapter.native.client.ping(), 'PONG')
  end.open(completed)
  await consumer.close()
  t.equal(adapter.native.worker('mail'), undefined)
})

void t.test('a queue of the engine answers as ever, also for an id that is known', { skip }, async t => {
  const { adapter } = await startBullmq(t, own())
  const job = makeJob()
  t.strictSame(await adapter.enqueue([job]), [{ id: job.id }])
  t.strictSame(await adapter.enqueue([job]), [{ id: job.id, deduplicated: true }])
  const queue = await adapter.native.queue('mail')
  t.equal((await queue.add(job.task, job.data, { jobId: job.id, priority: 5 })).id, job.id)
  t.equal((await queue.add(job.task, job.data, { priority: 5 })).id, '4')
  const delayed = makeJob({ delay: 60_000 })
  t.strictSame(await adapter.enqueue([delayed, delayed]), [{ id: delayed.id }, { id: delayed.id, deduplicated: true }])
})

void t.test('jobs of a flow are run, and cancelled as the engine does it: the parent goes on', { skip }, async t => {
  const options = own()
  const { adapter } = await startBullmq(t, options)
  const [parent, child] = makeJobs(2) as [Job, Job]
  const flows = new FlowProducer({ connection: adapter.native.client, prefix: options.prefix })
  await flows.add({
    name: 'parent', queueName: 'mail', data: parent.data, opts: { jobId: parent.id }, children: [{ name: 'child', queueName: 'mail', data: child.data, opts: { jobId: child.id } }]
  })
  t.equal(await adapter.cancel!(child.id), 'cancelled')
  t.equal(await adapter.status!(child.id), null)
  t.equal(await adapter.cancel!(child.id), 'not-found')
  const runs = new Runs()
  await adapter.work('mail', runs.run, { concurrency: 1 })
  await runs.of(1)
  t.strictSame([...runs.byId.keys()], [parent.id])
})

void t.test('a child that a worker takes while it is cancelled is told by its signal', { skip }, async t => {
  const options = own()
  const { adapter } = await startBullmq(t, options)
  const { client } = adapter.native
  const [parent, child] = makeJobs(2) as [Job, Job]
  const flows = new FlowProducer({ connection: client, prefix: options.prefix })
  await flows.add({
    name: 'parent', queueName: 'mail', data: parent.data, opts: { jobId: parent.id }, children: [{ name: 'child', queueName: 'mail', data: child.data, opts: { jobId: child.id } }]
  })
  const begun = latch<ActiveJob>()
  const stopped = latch<unknown>()
  const { bgtCancel } = client as unknown as Scripts
  Object.assign(client, {
    bgtCancel: async (...args: string[]) => {
      const answer = await bgtCancel.apply(client, args)
      await adapter.work('mail', active => {
        active.signal.addEventListener('abort', () => stopped.open(active.signal.reason))
        begun.open(active)
        return new Promise<JobVerdict>(() => {})
      }, { concurrency: 1 })
      await begun.opened
      return answer
    }
  })
  t.equal(await adapter.cancel!(child.id), 'running')
  t.match(await stopped.opened, { code: 'FST_ERR_BGT_CANCELLED' })
})

void t.test('a job that a schedule waits with is not cancelled, but unscheduled', { skip }, async t => {
  const { adapter } = await startBullmq(t, own())
  await adapter.schedule!(schedule)
  const queue = await adapter.native.queue('mail')
  const [waiting] = await queue.getDelayed()
  t.equal(await adapter.cancel!(waiting!.id!), 'not-found')
  t.match(await adapter.status!(waiting!.id!), { state: 'scheduled', task: 'report', enqueuedAt: waiting!.timestamp })
  t.equal(await adapter.unschedule!('nightly'), true)
  t.equal(await adapter.unschedule!('nightly'), false)
})

void t.test('a schedule may move to another queue', { skip }, async t => {
  const { adapter } = await startBullmq(t, own())
  await adapter.schedule!(schedule)
  await adapter.schedule!({ ...schedule, queue: 'reports', timezone: 'Europe/Berlin' })
  const [before, after] = await Promise.all(['mail', 'reports'].map(async name => (await adapter.native.queue(name)).getJobSchedulers()))
  t.strictSame(before, [])
  t.match(after, [{ key: 'nightly', pattern: '0 3 * * *', tz: 'Europe/Berlin' }])
})

void t.test('a schedule set again leaves the job that is due where it waits; a changed one replaces it', { skip }, async t => {
  const { adapter } = await startBullmq(t, own())
  const whole = { ...schedule, data: { payload: { a: 1, b: undefined }, version: 1, owner: 'me' } }
  await adapter.schedule!(whole)
  const queue = await adapter.native.queue('mail')
  const [job] = await queue.getDelayed()
  await job!.promote()
  await adapter.schedule!(whole)
  t.equal(await queue.getJobState(job!.id!), 'prioritized')
  await adapter.schedule!({ ...whole, data: { ...whole.data, payload: { a: 2 } } })
  const left = await queue.getJobs(['delayed', 'prioritized', 'waiting'])
  t.match(left.map(({ data }): unknown => data), [{ payload: { a: 2 } }])
  t.equal(left.length, 1)
})

void t.test('a schedule that has lost its next job gets it again when it is set again', { skip }, async t => {
  const { adapter } = await startBullmq(t, own())
  await adapter.schedule!(schedule)
  const queue = await adapter.native.queue('mail')
  const { next } = (await queue.getJobScheduler('nightly'))!
  await adapter.native.client.multi().zrem(queue.toKey('delayed'), `repeat:nightly:${next}`).del(queue.toKey(`repeat:nightly:${next}`)).exec()
  await adapter.schedule!(schedule)
  t.strictSame((await queue.getDelayed()).map(({ id }) => id), [`repeat:nightly:${next}`])
})

void t.test('the job of a schedule that waits stands for all times that pass meanwhile', { skip }, async t => {
  const { adapter } = await startBullmq(t, own())
  const begun = [latch<number>(), latch<number>(), latch<number>()]
  const freed = latch<JobVerdict>()
  let runs = 0
  await adapter.work('mail', job => {
    begun[runs++]?.open(dataOf(job).enqueuedAt)
    return runs === 1 ? freed.opened : Promise.resolve(completed)
  }, { concurrency: 1 })
  await adapter.schedule!({ ...schedule, cron: '* * * * * *' })
  const first = await begun[0]!.opened
  // Two more times pass after that of the job that waits.
  await setTimeout(first + 3_100 - Date.now())
  freed.open(completed)
  const [second, third] = [await begun[1]!.opened, await begun[2]!.opened]
  await adapter.unschedule!('nightly')
  t.equal(second % 1_000, 0)
  t.ok(second > first && third - second >= 2_000, `${second - first} ms, then ${third - second} ms`)
})

void t.test('a scheduled job is enqueued at its time', { skip }, async t => {
  const { adapter } = await startBullmq(t, own())
  const begun = await work(adapter)
  await adapter.schedule!({ ...schedule, cron: '* * * * * *' })
  const job = await begun.opened
  const [{ enqueuedAt }, { attempt }] = [dataOf(job), job]
  t.equal(attempt, 1)
  t.equal(enqueuedAt % 1_000, 0, 'at a whole second')
  await adapter.unschedule!('nightly')
})

void t.test('a job that others have stored is enqueued when its delay is over', { skip }, async t => {
  const { adapter } = await startBullmq(t, own())
  const begun = await work(adapter)
  const queue = await adapter.native.queue('mail')
  const { timestamp } = await queue.add('report', { payload: null, version: 1 }, { delay: 10 })
  t.match((await begun.opened).data, { payload: null, version: 1, enqueuedAt: timestamp + 10 })
})

void t.test('an error is kept with name, message, code and stack; the stack is not shown', { skip }, async t => {
  const options = own()
  const { adapter } = await startBullmq(t, options)
  const errors = {
    coded: Object.assign(new RangeError('two:\nlines'), { code: 'E_TWO' }),
    empty: new TypeError(''),
    stackless: Object.assign(new Error('no stack'), { stack: undefined }),
    named: Object.assign(new Error('as BullMQ\'s own'), { name: 'DelayedError' })
  }
  const jobs = Object.keys(errors).map(task => makeJob({ task }))
  await adapter.work('mail', ({ task }) => Promise.resolve({ state: 'failed', error: toVerdictError(errors[task as keyof typeof errors], 1_000) }), { concurrency: 1 })
  await adapter.enqueue(jobs)
  await ended(options, 'failed', jobs.length)
  const [coded, empty, stackless, named] = await Promise.all(jobs.map(({ id }) => adapter.status!(id)))
  t.strictSame(coded!.error, { name: 'RangeError', message: 'two:\nlines', code: 'E_TWO' })
  t.strictSame(empty!.error, { name: 'TypeError', message: '' })
  t.strictSame(stackless!.error, { name: 'Error', message: 'no stack' })
  t.strictSame(named!.error, { name: 'DelayedError', message: 'as BullMQ\'s own' })
  const stored = await (await adapter.native.queue('mail')).getJob(jobs[0]!.id)
  t.match(stored!.stacktrace, [/^RangeError \[E_TWO\]: two:\nlines\n {4}at .*bullmq\/adapter\.test/])
  t.equal(stored!.attemptsMade, 1, 'failed is final, whatever attempts are left')
})

void t.test('what failed by the engine\'s own hand is told too', { skip }, async t => {
  const { adapter } = await startBullmq(t, own())
  const queue = await adapter.native.queue('mail')
  const job = makeJob()
  await adapter.enqueue([job])
  await adapter.native.client.hset(queue.toKey(job.id), 'failedReason', 'by hand', 'finishedOn', 1)
  t.match(await adapter.status!(job.id), { state: 'failed', endedAt: 1, error: { name: 'Error', message: 'by hand' } })
})

void t.test('a verdict of retrying wins over the attempts that the job was stored with', { skip }, async t => {
  const options = own()
  const { adapter } = await startBullmq(t, options)
  const job = makeJob({ retry: { ...makeJob().retry, attempts: 1 } })
  const attempts: number[] = []
  await adapter.work('mail', ({ attempt }) => {
    attempts.push(attempt)
    return Promise.resolve(attempt < 4 ? { state: 'retrying', error: new Error('again'), delay: attempt % 2 } : completed)
  }, { concurrency: 1 })
  await adapter.enqueue([job])
  await ended(options, 'completed')
  t.strictSame(attempts, [1, 2, 3, 4])
})

void t.test('a job is retrying from its first attempt on, also once its delay is over', { skip }, async t => {
  const { adapter } = await startBullmq(t, own())
  const begun = latch()
  const job = makeJob()
  await adapter.enqueue([job])
  t.match(await adapter.status!(job.id), { state: 'pending', attempts: 0 })
  const consumer = await adapter.work('mail', () => {
    begun.open()
    return Promise.resolve({ state: 'retrying', error: new Error('again'), delay: 60_000 })
  }, { concurrency: 1 })
  await begun.opened
  await consumer.close()
  const retrying = { state: 'retrying', attempts: 1, error: { message: 'again' } }
  t.match(await adapter.status!(job.id), retrying)
  const stored = await (await adapter.native.queue('mail')).getJob(job.id)
  await stored!.promote()
  t.match(await adapter.status!(job.id), retrying)
})

void t.test('of many jobs those that were stored have receipts, and those that were not have errors', { skip: skipWithoutRedisServer }, async t => {
  const server = new RedisServer(t)
  await server.start()
  const { adapter } = await startBullmq(t, { connection: server.path, commandTimeout: 10_000 })
  await adapter.enqueue([makeJob()])
  const { client } = adapter.native
  const used = Number(/used_memory:(\d+)/.exec(await client.info('memory'))![1])
  await client.config('SET', 'maxmemory', used + 3_000_000)
  const payload = 'x'.repeat(20_000)
  const jobs = makeJobs(700, { data: { payload, version: 1, enqueuedAt: 1 } })
  const receipts = await adapter.enqueue(jobs)
  t.strictSame(receipts.map(({ id }) => id), jobs.map(({ id }) => id))
  const stored = receipts.filter(({ error }) => error === undefined)
  t.ok(stored.length > 0 && stored.length < 500)
  t.match(receipts.at(-1)!.error, { code: 'FST_ERR_BGT_QUEUE_UNAVAILABLE', ambiguous: false, message: /OOM/ })
  t.equal(await (await adapter.native.queue('mail')).getPrioritizedCount(), stored.length + 1)
  // Since then Redis may have freed what it needed for the commands themselves.
  await client.config('SET', 'maxmemory', 1)
  await t.rejects(adapter.enqueue(makeJobs(3, { data: { payload, version: 1, enqueuedAt: 1 } })), { ambiguous: false, message: /OOM/ })
})

void t.test('health names settings that put jobs at risk, with their cures', { skip: skipWithoutRedisServer }, async t => {
  const careless = new RedisServer(t, '--maxmemory-policy', 'allkeys-lru')
  const careful = new RedisServer(t, '--appendonly', 'yes')
  await Promise.all([careless.start(), careful.start()])
  const [bad, good] = await Promise.all([careless, careful].map(async ({ path }) => (await startBullmq(t, { connection: { path } })).adapter.health()))
  t.match(bad, { ok: true, warnings: [/appendonly yes/, /allkeys-lru.*noeviction/] })
  t.match(good, { ok: true, warnings: [] })
  t.type(good!.latency, 'number')
})

void t.test('a server that takes no jobs is not healthy: a replica, or one without room', { skip: skipWithoutRedisServer }, async t => {
  const [replica, full] = [new RedisServer(t), new RedisServer(t)]
  await Promise.all([replica.start(), full.start()])
  const [{ adapter: onReplica }, { adapter: onFull }] = await Promise.all([startBullmq(t, { connection: replica.path }), startBullmq(t, { connection: full.path })])
  t.match(await onReplica.health(), { ok: true })
  await onReplica.native.client.replicaof('127.0.0.1', 1)
  t.match(await onReplica.health(), { ok: false, error: /READONLY/ })
  await onFull.native.client.config('SET', 'maxmemory', 1)
  t.match(await onFull.health(), { ok: false, error: /OOM/ })
})

void t.test('a cluster is refused at start; one that comes later is not healthy, and stores nothing for sure', { skip: skipWithoutRedisServer }, async t => {
  const cluster = new RedisServer(t, '--port', '0', '--cluster-enabled', 'yes', '--cluster-port', '1')
  const log = pino({ level: 'silent' })
  const later = bullmq({ connection: cluster.path })
  t.teardown(() => later.close())
  await later.start({ queues: ['mail'], log })
  const ready = new Promise(resolve => later.native.client.once('ready', resolve))
  await cluster.start()
  const adapter = bullmq({ connection: cluster.path })
  t.teardown(() => adapter.close())
  await t.rejects(adapter.start({ queues: ['mail'], log }), { code: 'FST_ERR_BGT_INVALID_OPTIONS', message: /bullmq\/connection: this is a Redis Cluster/ })
  await ready
  await t.rejects(later.enqueue([makeJob()]), { code: 'FST_ERR_BGT_QUEUE_UNAVAILABLE', ambiguous: false })
  t.match(await later.health(), { ok: false, error: /Redis Cluster/ })
})

void t.test('an answer that nothing was done is not ambiguous, and does not tell the address of another node', t => {
  const reply = (message: string): Error => Object.assign(new Error(message), { name: 'ReplyError' })
  for (const message of ['MOVED 1 10.0.0.1:7000', 'ASK 1 10.0.0.1:7000']) {
    const error = asUnavailable(reply(message))
    t.match(error, { ambiguous: false, message: /Redis Cluster/ })
    t.notMatch(error.message, /10\.0/)
  }
  for (const word of ['OOM', 'READONLY', 'LOADING', 'NOAUTH', 'WRONGPASS', 'CLUSTERDOWN', 'CROSSSLOT', 'TRYAGAIN']) t.match(asUnavailable(reply(`${word} x`)), { ambiguous: false })
  t.match(asUnavailable(reply('ERR x')), { ambiguous: true })
  t.end()
})

void t.test('a running job is told by its signal that another process has cancelled it', { skip }, async t => {
  const options = own()
  const { adapter } = await startBullmq(t, options)
  const other = (await startBullmq(t, options)).adapter
  const begun = latch<ActiveJob>()
  const job = makeJob()
  await adapter.work('mail', active => {
    begun.open(active)
    return new Promise<JobVerdict>(resolve => {
      active.signal.addEventListener('abort', () => resolve({ state: 'cancelled', error: active.signal.reason as Error }))
    })
  }, { concurrency: 1 })
  await adapter.enqueue([job])
  const { progress, data } = await begun.opened
  t.strictSame(data, job.data)
  await progress({ done: 1 })
  t.match(await other.status!(job.id), { state: 'running', attempts: 1, progress: { done: 1 } })
  await progress(undefined)
  t.match(await other.status!(job.id), { progress: null })
  t.equal(await other.cancel!(job.id), 'running')
  await ended(options, 'completed')
  const info = await other.status!(job.id)
  t.match(info, { state: 'cancelled', error: { code: 'FST_ERR_BGT_CANCELLED' } })
  t.notOk('result' in info!)
})

/** Ends as cancelled once its signal aborts. Opens with each job that begins. */
async function workUntilAborted (adapter: Started['adapter']): Promise<Latch<ActiveJob>> {
  const begun = latch<ActiveJob>()
  await adapter.work('mail', active => {
    begun.open(active)
    const { signal } = active
    return new Promise<JobVerdict>(resolve => {
      const end = (): void => resolve({ state: 'cancelled', error: signal.reason as Error })
      signal.aborted ? end() : signal.addEventListener('abort', end)
    })
  }, { concurrency: 1 })
  return begun
}

void t.test('a wish to cancel overtakes its job', { skip }, async t => {
  const options = own()
  const { adapter } = await startBullmq(t, { ...options, lease: 60_000 })
  const other = (await startBullmq(t, options)).adapter
  const job = makeJob()
  await workUntilAborted(adapter)
  const worker = adapter.native.worker('mail')! as unknown as { createJob: (...args: unknown[]) => unknown, nextJobFromJobData: (...args: unknown[]) => Promise<unknown> }
  const { nextJobFromJobData } = worker
  const cancelled = latch<string>()
  worker.nextJobFromJobData = async (...args) => {
    if (args[1] === job.id) {
      cancelled.open(await other.cancel!(job.id))
      // Its message has come before this answer: both come over connections of the worker's.
      await adapter.native.client.ping()
    }
    return nextJobFromJobData.apply(worker, args)
  }
  await adapter.enqueue([job])
  t.equal(await cancelled.opened, 'running')
  await ended(options, 'completed')
  t.match(await adapter.status!(job.id), { state: 'cancelled' })
})

void t.test('a wish to cancel whose message was missed is found when the lock is renewed', { skip }, async t => {
  const options = own()
  const { adapter } = await startBullmq(t, { ...options, lease: 400 })
  const other = (await startBullmq(t, options)).adapter
  const begun = await workUntilAborted(adapter)
  const job = makeJob()
  await adapter.enqueue([job])
  await begun.opened
  const { client } = other.native
  // The field that the script sets, without its message.
  await client.hset(`${options.prefix}:mail:${job.id}`, 'bgt:cancel', '1')
  await ended(options, 'completed')
  t.match(await adapter.status!(job.id), { state: 'cancelled' })
})

void t.test('many bells of jobs that never come here are forgotten', { skip }, async t => {
  const options = own()
  const { adapter } = await startBullmq(t, options)
  const begun = await work(adapter)
  const { client } = adapter.native
  const channel = `${options.prefix}:cancelled:0`
  await subscribed(adapter, channel)
  await Promise.all(Array.from({ length: 1_001 }, (_none, i) => client.publish(channel, `mail:${i}`)))
  const job = makeJob()
  await client.publish(channel, `elsewhere:${job.id}`)
  await adapter.enqueue([job])
  t.equal((await begun.opened).signal.aborted, false)
})

/** Until a worker listens: `work` does not wait for it. */
async function subscribed ({ native: { client } }: Started['adapter'], channel: string): Promise<void> {
  while ((await client.pubsub('NUMSUB', channel) as [string, number])[1] === 0) await setTimeout(5)
}

void t.test('a message alone cancels nothing, nor does the cancel of another database', { skip }, async t => {
  const options = own()
  const url = connection.startsWith('/') ? { path: connection } : {}
  const { adapter } = await startBullmq(t, { ...options, connection: { ...url, db: 0 } })
  const staging = (await startBullmq(t, { ...options, connection: { ...url, db: 1 } })).adapter
  t.teardown(() => staging.native.client.eval('for _, key in ipairs(redis.call("KEYS", ARGV[1])) do redis.call("DEL", key) end', 0, `${options.prefix}:*`))
  const job = makeJob()
  const begun = await workUntilAborted(adapter)
  const begunThere = await workUntilAborted(staging)
  await Promise.all([adapter.enqueue([job]), staging.enqueue([job])])
  const [{ signal }, there] = await Promise.all([begun.opened, begunThere.opened])
  await subscribed(adapter, `${options.prefix}:cancelled:0`)
  await subscribed(adapter, `${options.prefix}:cancelled:1`)
  const ended = new Promise(resolve => there.signal.addEventListener('abort', resolve))
  await adapter.native.client.publish(`${options.prefix}:cancelled:0`, `mail:${job.id}`)
  t.equal(await staging.cancel!(job.id), 'running')
  await ended
  // By now the looks that the messages have caused are answered, as the commands of a client are in order.
  await adapter.native.client.ping()
  t.equal(signal.aborted, false)
  t.match(await adapter.status!(job.id), { state: 'running' })
})

void t.test('a result cannot be taken for a sign of ours', { skip }, async t => {
  const options = own()
  const { adapter } = await startBullmq(t, options)
  const sign = 'fastify-background-tasks'
  const results = [{ [sign]: { cancelled: { name: 'x' } } }, { [sign]: 5 }, { [sign]: null }, { [sign]: { result: { [sign]: {} } } }, [], 'text']
  const jobs = makeJobs(results.length)
  await adapter.work('mail', ({ id }) => Promise.resolve({ state: 'completed', result: results[jobs.findIndex(job => job.id === id)] }), { concurrency: 1 })
  await adapter.enqueue(jobs)
  await ended(options, 'completed', jobs.length)
  for (const [i, { id }] of jobs.entries()) t.match(await adapter.status!(id), { state: 'completed', result: results[i] })
  const queue = await adapter.native.queue('mail')
  t.equal((await queue.getJob(jobs[5]!.id))!.returnvalue, 'text', 'flows read what is no sign as it is')
})

void t.test('jobs of others are delivered as they are stored, also one that cannot be parsed, or has only an id', { skip }, async t => {
  const { adapter } = await startBullmq(t, own())
  const queue = await adapter.native.queue('mail')
  const torn = (await queue.add('torn', {})).id!
  await adapter.native.client.hset(queue.toKey(torn), 'data', '{')
  const none = (await queue.add('none', null)).id!
  await adapter.native.client.lpush(queue.toKey('wait'), 'bare')
  const all = latch()
  const seen = new Map<string, unknown[]>()
  await adapter.work('mail', ({ id, task, data }) => {
    seen.set(id, [task, data])
    if (seen.size === 3) all.open()
    return Promise.resolve({ state: 'failed', error: new Error('foreign') })
  }, { concurrency: 1 })
  await all.opened
  t.strictSame([seen.get(torn), seen.get(none), seen.get('bare')![0]], [['torn', undefined], ['none', null], ''])
})

void t.test('whatever is stored under an id, status answers', { skip }, async t => {
  const { adapter } = await startBullmq(t, own())
  const { client } = adapter.native
  const queue = await adapter.native.queue('mail')
  const fields = { torn: { name: 'a', data: '{', timestamp: '7', progress: '[' }, bare: { processedOn: '1' }, foreign: { data: '"text"', owner: 'x' }, typed: { data: '{"owner":5,"enqueuedAt":"now"}' }, owned: { name: 'b', data: '{"owner":"ada","enqueuedAt":3}' } }
  for (const [id, job] of Object.entries(fields)) await client.hset(queue.toKey(id), job)
  await client.hset(queue.toKey('done'), { finishedOn: 1, returnvalue: '{', data: 'null' })
  await client.hset(queue.toKey('bad'), { finishedOn: 1, failedReason: 'why', stacktrace: '{}' })
  await client.hset(queue.toKey('worse'), { finishedOn: 1, failedReason: 'why', stacktrace: '[null]' })
  t.strictSame(await adapter.status!('torn'), { id: 'torn', task: 'a', queue: 'mail', state: 'pending', attempts: 0, enqueuedAt: 7 })
  for (const id of ['bare', 'foreign', 'typed']) t.match(await adapter.status!(id), { task: '', state: 'pending', enqueuedAt: 0, owner: undefined })
  t.match(await adapter.status!('owned'), { owner: 'ada', enqueuedAt: 3 })
  t.match(await adapter.status!('done'), { state: 'completed', result: undefined })
  for (const id of ['bad', 'worse']) t.match(await adapter.status!(id), { state: 'failed', error: { name: 'Error', message: 'why' } })
})

void t.test('a run that throws leaves no job behind that a close would wait for', { skip }, async t => {
  const options = own()
  const { adapter } = await startBullmq(t, options)
  const consumer = await adapter.work('mail', () => { throw new Error('of the core') }, { concurrency: 1 })
  await adapter.enqueue([makeJob({ retry: { ...makeJob().retry, attempts: 1 } })])
  await ended(options, 'failed')
  await consumer.close()
  t.pass()
})

void t.test('a result is kept', { skip }, async t => {
  const options = own()
  const { adapter } = await startBullmq(t, options)
  const job = makeJob()
  await adapter.work('mail', () => Promise.resolve({ state: 'completed', result: { sent: true } }), { concurrency: 1 })
  await adapter.enqueue([job])
  await ended(options, 'completed')
  t.match(await adapter.status!(job.id), { state: 'completed', attempts: 1, result: { sent: true } })
})

void t.test('null is kept as a result, and a postponed attempt is not counted', { skip }, async t => {
  const options = own()
  const { adapter } = await startBullmq(t, options)
  const verdicts: JobVerdict[] = [{ state: 'postponed', error: new Error('not now'), delay: 1 }, { state: 'completed', result: null }]
  const job = makeJob()
  await adapter.work('mail', () => Promise.resolve(verdicts.shift()!), { concurrency: 1 })
  await adapter.enqueue([job])
  await ended(options, 'completed')
  t.match(await adapter.status!(job.id), { state: 'completed', attempts: 1, result: null })
})

void t.test('what has not ended within the grace goes to the next worker at once', { skip }, async t => {
  const options = own()
  const { adapter } = await startBullmq(t, options)
  const begun = latch<ActiveJob>()
  const consumer = await adapter.work('mail', active => {
    begun.open(active)
    return new Promise<JobVerdict>(() => {})
  }, { concurrency: 1 })
  const job = makeJob()
  await adapter.enqueue([job])
  const { signal } = await begun.opened
  await consumer.close({ grace: 1 })
  t.match(signal.reason, { message: /goes to another/ })
  const runs = new Runs()
  await adapter.work('mail', runs.run, { concurrency: 1 })
  await runs.of(1)
  t.strictSame([...runs.byId], [[job.id, 1]])
})

void t.test('a job that comes while its worker closes goes to the next one, as the same attempt', { skip }, async t => {
  const { adapter } = await startBullmq(t, own())
  const late = new Runs()
  const consumer = await adapter.work('mail', late.run, { concurrency: 1 })
  const closing = latch<Promise<void>>()
  adapter.native.worker('mail')!.once('active', () => closing.open(consumer.close()))
  const job = makeJob()
  await adapter.enqueue([job])
  await closing.opened
  t.match(await adapter.status!(job.id), { state: 'pending', attempts: 0 })
  t.equal(late.byId.size, 0)
  const begun = latch<ActiveJob>()
  await adapter.work('mail', active => {
    begun.open(active)
    return Promise.resolve(completed)
  }, { concurrency: 1 })
  t.match(await begun.opened, { id: job.id, attempt: 1 })
})

void t.test('a worker that has closed cannot connect again', { skip }, async t => {
  const { adapter } = await startBullmq(t, own())
  const consumer = await adapter.work('mail', () => Promise.resolve(completed), { concurrency: 1 })
  const worker = adapter.native.worker('mail')!
  await worker.waitUntilReady()
  await consumer.close()
  await t.rejects(worker.getBackend().reconnectBlocking(), { message: 'Connection is closed.' })
})
