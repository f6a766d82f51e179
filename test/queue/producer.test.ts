import { AsyncLocalStorage } from 'node:async_hooks'
import { setTimeout as wait } from 'node:timers/promises'
import { Type } from '@sinclair/typebox'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { FST_ERR_BGT_INVALID_OPTIONS, FST_ERR_BGT_QUEUE_UNAVAILABLE } from '../../lib/errors.ts'
import { defineTask } from '../../lib/index.ts'
import type { BackgroundTasksOptions } from '../../types/index.ts'
import { makeApp } from '../helpers/app.ts'
import { latch } from '../helpers/latch.ts'
import { fakeTimers, turns } from '../helpers/timers.ts'
import { UnrulyAdapter } from '../helpers/unruly-adapter.ts'

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[48][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

const mail = defineTask({
  name: 'mail',
  queue: 'mails',
  priority: 70,
  version: 3,
  payload: Type.Object({ to: Type.String() }),
  retry: { attempts: 5 },
  run () {}
})
const plain = defineTask({ name: 'plain', run () {} })

async function makeReady (t: Test, adapter: UnrulyAdapter, options: BackgroundTasksOptions = {}): Promise<FastifyInstance> {
  const app = await makeApp(t, { adapter, tasks: [mail, plain], ...options })
  await app.ready()
  return app
}

await t.test('a job has what the task and the request say', async t => {
  const adapter = new UnrulyAdapter()
  const app = await makeApp(t, { adapter, tasks: [mail] })
  app.post('/', request => request.backgroundTasks.enqueue(mail, { to: 'a@b.c' }))
  const before = Date.now()
  const response = await app.inject({ method: 'POST', url: '/', headers: { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', tracestate: 'a=b' } })

  const { id, deduplicated } = response.json<{ id: string, deduplicated: boolean }>()
  t.match(id, UUID)
  t.equal(deduplicated, false)
  const [job] = adapter.calls[0]!.jobs
  t.match(job, {
    id,
    queue: 'mails',
    task: 'mail',
    delay: 0,
    priority: 70,
    retry: { attempts: 5, delay: 1_000, backoff: 'exponential', maxDelay: 300_000, jitter: 0.2 },
    data: { payload: { to: 'a@b.c' }, version: 3, requestId: 'req-1', trace: { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', tracestate: 'a=b' } }
  })
  t.ok(job!.data.enqueuedAt >= before && job!.data.enqueuedAt <= Date.now())
  t.equal(app.backgroundTasks.stats().enqueued, 1)
})

await t.test('a job of an application has no request, and a task without retry one attempt', async t => {
  const adapter = new UnrulyAdapter()
  const app = await makeReady(t, adapter)
  await app.backgroundTasks.enqueue(plain, undefined, { delay: 5_000, priority: 1 })
  const [job] = adapter.calls[0]!.jobs
  t.match(job, { queue: 'default', delay: 5_000, priority: 1, retry: { attempts: 1 }, data: { version: 1, delay: 5_000 } })
  t.notOk('requestId' in job!.data)
  t.notOk('trace' in job!.data)
})

await t.test('trace.inject says which headers go with a job', async t => {
  const adapter = new UnrulyAdapter()
  const app = await makeReady(t, adapter, { trace: { inject: () => ({ traceparent: 'mine' }) } })
  await app.backgroundTasks.enqueue(plain)
  t.strictSame(adapter.calls[0]!.jobs[0]!.data.trace, { traceparent: 'mine' })
})

await t.test('a key makes the id: the same for the same task and key, and for no other', async t => {
  const app = await makeReady(t, new UnrulyAdapter())
  const { enqueue } = { enqueue: app.backgroundTasks.enqueue.bind(app.backgroundTasks) }
  const first = await enqueue(mail, { to: 'a' }, { key: 'order-1' })
  t.match(first, { id: UUID, deduplicated: false })
  t.strictSame(await enqueue(mail, { to: 'b' }, { key: 'order-1' }), { id: first.id, deduplicated: true })
  t.not((await enqueue(mail, { to: 'a' }, { key: 'order-2' })).id, first.id)
  t.not((await enqueue(plain, undefined, { key: 'order-1' })).id, first.id)
  t.equal(app.backgroundTasks.stats().enqueued, 3, 'duplicates do not count')
})

await t.test('what is wrong is refused before anything is stored', async t => {
  const adapter = new UnrulyAdapter({ delay: false, priority: false, dedupe: false })
  const app = await makeReady(t, adapter, { maxPayload: 20 })
  const { backgroundTasks } = app
  await t.rejects(backgroundTasks.enqueue(mail, { to: 1 } as never), { code: 'FST_ERR_BGT_INVALID_PAYLOAD', message: /payload\/to Expected string/ })
  await t.rejects(backgroundTasks.enqueue(mail, { to: 'a', at: new Map() } as never), { code: 'FST_ERR_BGT_INVALID_PAYLOAD', message: /payload\/at is an instance of Map/ })
  await t.rejects(backgroundTasks.enqueue(mail, { to: 'somebody with a name' }), { code: 'FST_ERR_BGT_PAYLOAD_TOO_LARGE' })
  await t.rejects(backgroundTasks.enqueue(defineTask({ name: 'other', run () {} })), { code: 'FST_ERR_BGT_TASK_NOT_REGISTERED' })
  await t.rejects(backgroundTasks.enqueue((() => {}) as never), { code: 'FST_ERR_BGT_INVALID_TASK', message: 'Invalid task: expected one made by defineTask, got [Function (anonymous)]' })
  await t.rejects(backgroundTasks.enqueue(undefined as never), { code: 'FST_ERR_BGT_INVALID_TASK' })
  await t.rejects(backgroundTasks.enqueueMany(mail, [], { key: 'a' } as never), { code: 'FST_ERR_BGT_INVALID_OPTIONS', message: /options\/key/ })
  await t.rejects(backgroundTasks.enqueue(plain, undefined, { delay: -1 }), { code: 'FST_ERR_BGT_INVALID_OPTIONS', message: /options\/delay/ })
  await t.rejects(backgroundTasks.enqueueMany(mail, 'a' as never), { code: 'FST_ERR_BGT_INVALID_PAYLOAD', message: /array of payloads/ })
  await t.rejects(backgroundTasks.enqueueMany(mail, [{ to: 'a' }, { to: 2 }] as never), { code: 'FST_ERR_BGT_INVALID_PAYLOAD' })
  for (const [options, capability] of [[{ delay: 1 }, 'delay'], [{ priority: 1 }, 'priority'], [{ key: 'a' }, 'dedupe'], [{ tx: {} }, 'transactional']] as const) {
    await t.rejects(backgroundTasks.enqueue(plain, undefined, options), {
      code: 'FST_ERR_BGT_NO_CAPABILITY',
      message: `Task "plain" needs an adapter with the capability "${capability}", which "unruly" does not have`
    })
  }
  t.strictSame(adapter.calls, [])
  t.equal(backgroundTasks.stats().enqueued, 0)
})

await t.test('a task that retries needs an adapter that can', async t => {
  const app = await makeReady(t, new UnrulyAdapter({ retry: false }))
  await t.rejects(app.backgroundTasks.enqueue(mail, { to: 'a' }), { code: 'FST_ERR_BGT_NO_CAPABILITY' })
})

await t.test('a queue that fails is a 503 that says which job, and whether it may have been stored', async t => {
  const adapter = new UnrulyAdapter()
  const app = await makeReady(t, adapter)
  const cause = new Error('connection lost')
  adapter.before = () => { throw cause }
  const error = await app.backgroundTasks.enqueue(plain).catch((error: unknown) => error)
  t.match(error, { code: 'FST_ERR_BGT_QUEUE_UNAVAILABLE', statusCode: 503, ambiguous: true, id: adapter.calls[0]!.jobs[0]!.id, cause })
  t.equal((error as Error).message, 'The queue behind "unruly" did not answer: see its cause')

  adapter.before = () => { throw Object.assign(new Error('not connected'), { ambiguous: false }) }
  await t.rejects(app.backgroundTasks.enqueue(plain), { code: 'FST_ERR_BGT_QUEUE_UNAVAILABLE', ambiguous: false })
  // eslint-disable-next-line @typescript-eslint/only-throw-error -- adapters are other people's
  adapter.before = () => { throw 'no' }
  await t.rejects(app.backgroundTasks.enqueue(plain), { message: 'The queue behind "unruly" did not answer: see its cause' })
  t.equal(app.backgroundTasks.stats().enqueued, 0)
})

await t.test('what the adapter says in our own words is not said twice', async t => {
  const adapter = new UnrulyAdapter()
  const app = await makeReady(t, adapter)
  const away = Object.assign(new FST_ERR_BGT_QUEUE_UNAVAILABLE('engine', 'it is away'), { ambiguous: false })
  adapter.before = () => { throw away }
  const [one, two] = await Promise.all([1, 2].map(() => app.backgroundTasks.enqueue(plain).catch((error: unknown) => error as Error & { id: string })))
  t.match(one, { message: 'The queue behind "engine" did not answer: it is away', statusCode: 503, ambiguous: false, id: adapter.calls[0]!.jobs[0]!.id, cause: away })
  t.match(two, { id: adapter.calls[1]!.jobs[0]!.id })

  const wrong = new FST_ERR_BGT_INVALID_OPTIONS('tx', 'Expected a client, got 1')
  adapter.before = () => { throw wrong }
  t.equal(await app.backgroundTasks.enqueue(plain).catch((error: unknown) => error), wrong, 'what the caller did wrong is no fault of the queue')
  t.equal(await app.backgroundTasks.enqueueMany(mail, [{ to: 'a' }]).catch((error: unknown) => error), wrong)
})

await t.test('an answer that was lost does not make a duplicate of a job without a key', async t => {
  const adapter = new UnrulyAdapter({ batch: { max: 10, inFlight: 1 } })
  const app = await makeReady(t, adapter)
  adapter.after = jobs => { if (jobs.length > 1) throw new Error('connection lost after storing') }
  const enqueued = await Promise.all(['first', 'a', 'b'].map(to => app.backgroundTasks.enqueue(mail, { to })))
  t.strictSame(adapter.calls.map(({ jobs }) => jobs.length), [1, 2, 1, 1])
  t.match(enqueued, Array(3).fill({ deduplicated: false }))
  t.equal(app.backgroundTasks.stats().enqueued, 3)
})

await t.test('a job that the queue refuses is not stored for certain', async t => {
  const adapter = new UnrulyAdapter()
  const app = await makeReady(t, adapter)
  const cause = new Error('not this one')
  adapter.refuses = () => cause
  await t.rejects(app.backgroundTasks.enqueue(plain), { code: 'FST_ERR_BGT_QUEUE_UNAVAILABLE', ambiguous: false, cause })
})

await t.test('a queue that does not answer is given up, and told so', async t => {
  const adapter = new UnrulyAdapter()
  const app = await makeReady(t, adapter, { enqueueTimeout: 30 })
  const release = latch()
  adapter.before = () => release.opened
  await t.rejects(app.backgroundTasks.enqueue(plain), {
    code: 'FST_ERR_BGT_QUEUE_UNAVAILABLE',
    message: 'The queue behind "unruly" did not answer: no answer within 30 ms',
    ambiguous: true
  })
  t.equal(adapter.calls[0]!.context!.signal!.aborted, true)
  release.open()
})

await t.test('many jobs are checked with turns of the event loop between, and none is no call', async t => {
  const adapter = new UnrulyAdapter()
  const app = await makeReady(t, adapter)
  t.strictSame(await app.backgroundTasks.enqueueMany(mail, []), [])
  t.equal(adapter.calls.length, 0)
  let turn = false
  const turned = setImmediate(() => { turn = true })
  t.teardown(() => clearImmediate(turned))
  adapter.before = () => t.ok(turn, 'others had their turn before the first call')
  t.equal((await app.backgroundTasks.enqueueMany(mail, Array(1_001).fill({ to: 'all' }))).length, 1_001)
})

await t.test('a queue that stands still does not make the process grow without end', async t => {
  const big = defineTask({ name: 'big', payload: Type.String(), run () {} })
  for (const [what, task, payload, count] of [['10,000 jobs', plain, undefined, 10_000], ['64 MiB', big, 'x'.repeat(33 * 2 ** 20), 2]] as const) {
    await t.test(what, async t => {
      const adapter = new UnrulyAdapter()
      const app = await makeReady(t, adapter, { tasks: [plain, big], maxPayload: 40 * 2 ** 20 })
      const release = latch()
      adapter.before = () => release.opened
      const enqueue = (): Promise<unknown> => app.backgroundTasks.enqueue(task as never, payload as never)
      const all = Array.from({ length: count }, enqueue)
      const refused = { code: 'FST_ERR_BGT_QUEUE_UNAVAILABLE', statusCode: 503, ambiguous: false, id: UUID, message: new RegExp(`: ${count} jobs of this process wait for it`) }
      await t.rejects(enqueue(), refused)
      await t.rejects(app.backgroundTasks.enqueueMany(task as never, [payload, payload] as never), { ...refused, enqueued: [] })
      t.equal(adapter.calls.length, count)
      release.open()
      await Promise.all(all)
      await enqueue()
      t.equal(app.backgroundTasks.stats().enqueued, count + 1)
    })
  }
})

await t.test('jobs that come while others are being stored are stored together', async t => {
  const adapter = new UnrulyAdapter({ batch: { max: 3, inFlight: 1 } })
  const app = await makeReady(t, adapter)
  const release = latch()
  adapter.before = () => release.opened
  const all = Array.from({ length: 6 }, (_, index) => app.backgroundTasks.enqueue(mail, { to: `${index}` }))
  await wait(0)
  t.strictSame(adapter.calls.map(({ jobs }) => jobs.length), [1], 'the first does not wait for company')
  release.open()
  await Promise.all(all)
  t.strictSame(adapter.calls.map(({ jobs }) => jobs.length), [1, 3, 2])
  t.strictSame(adapter.calls.flatMap(({ jobs }) => jobs.map(({ data }) => (data.payload as { to: string }).to)), ['0', '1', '2', '3', '4', '5'])
  const ids = (await Promise.all(all)).map(({ id }) => id)
  t.strictSame(ids, adapter.calls.flatMap(({ jobs }) => jobs.map(({ id }) => id)), 'each gets its own receipt')
})

await t.test('as many batches are under way as the adapter takes', async t => {
  const adapter = new UnrulyAdapter({ batch: { max: 10, inFlight: 2 } })
  const app = await makeReady(t, adapter)
  const release = latch()
  adapter.before = () => release.opened
  const all = Array.from({ length: 5 }, () => app.backgroundTasks.enqueue(plain))
  await wait(0)
  t.strictSame(adapter.calls.map(({ jobs }) => jobs.length), [1, 1])
  release.open()
  await Promise.all(all)
  t.strictSame(adapter.calls.map(({ jobs }) => jobs.length), [1, 1, 3])
})

await t.test('a bad job does not cost those that were to be stored with it', async t => {
  const adapter = new UnrulyAdapter({ batch: { max: 10, inFlight: 1 } })
  const app = await makeReady(t, adapter)
  adapter.before = jobs => {
    if (jobs.some(({ data }) => (data.payload as { to: string }).to === 'bad')) throw Object.assign(new Error('bad job'), { ambiguous: false })
  }
  const results = await Promise.allSettled(['first', 'a', 'bad', 'b'].map(to => app.backgroundTasks.enqueue(mail, { to })))
  t.strictSame(results.map(({ status }) => status), ['fulfilled', 'fulfilled', 'rejected', 'fulfilled'])
  t.match(results[2], { reason: { code: 'FST_ERR_BGT_QUEUE_UNAVAILABLE', ambiguous: false } })
  t.equal(app.backgroundTasks.stats().enqueued, 3)
})

await t.test('a bad job among many costs a few calls, and not one for each', async t => {
  const adapter = new UnrulyAdapter({ batch: { max: 100, inFlight: 1 } })
  const app = await makeReady(t, adapter)
  adapter.before = jobs => {
    if (jobs.some(({ data }) => (data.payload as { to: string }).to === '50')) throw Object.assign(new Error('bad job'), { ambiguous: false })
  }
  const results = await Promise.allSettled(Array.from({ length: 65 }, (_, to) => app.backgroundTasks.enqueue(mail, { to: `${to}` })))
  t.strictSame(results.flatMap(({ status }, to) => status === 'rejected' ? [to] : []), [50])
  t.equal(adapter.calls.length, 1 + 1 + 2 * Math.log2(64))
})

await t.test('each of a batch is sent once more where the queue does not answer', async t => {
  const adapter = new UnrulyAdapter({ batch: { max: 100, inFlight: 1 } })
  const app = await makeReady(t, adapter)
  adapter.before = jobs => { if (jobs.length > 1) throw Object.assign(new Error('no answer'), { code: 'FST_ERR_BGT_QUEUE_UNAVAILABLE' }) }
  await Promise.all(Array.from({ length: 9 }, () => app.backgroundTasks.enqueue(plain)))
  t.strictSame(adapter.calls.map(({ jobs }) => jobs.length), [1, 8, ...Array<number>(8).fill(1)])
})

await t.test('a job that has to wait for another transaction is sent again, holds up no others, and not for ever', async t => {
  const timers = fakeTimers(t)
  const adapter = new UnrulyAdapter({ batch: { max: 10, inFlight: 1 } })
  const app = await makeReady(t, adapter, { enqueueTimeout: 250 })
  let isLocked = true
  adapter.before = (jobs, context) => {
    t.equal(context!.noWait, true)
    const locked = jobs.some(({ data }) => (data.payload as { to: string }).to === 'locked')
    if (locked && isLocked) throw Object.assign(new Error('locked'), { ambiguous: false, again: true })
  }
  const enqueue = (to: string): Promise<unknown> => app.backgroundTasks.enqueue(mail, { to })
  const [late, locked] = [enqueue('locked').catch((error: unknown) => error), enqueue('locked').catch((error: unknown) => error)]
  await enqueue('other')
  for (const ms of [100, 100, 50]) {
    timers.tick(ms)
    await turns()
  }
  for (const failure of [late, locked]) t.match(await failure, { code: 'FST_ERR_BGT_QUEUE_UNAVAILABLE', ambiguous: false })
  const calls = adapter.calls.length
  timers.tick(1_000)
  await turns()
  t.equal(adapter.calls.length, calls)

  const stored = enqueue('locked')
  await turns()
  isLocked = false
  timers.tick(100)
  t.match(await stored, { deduplicated: false })
})

await t.test('what a failed batch leaves open stays open when the single job is refused', async t => {
  const adapter = new UnrulyAdapter({ batch: { max: 10, inFlight: 1 } })
  const app = await makeReady(t, adapter)
  adapter.before = jobs => {
    if (jobs.length > 1) throw new Error('connection lost while sending')
    if (adapter.calls.length > 2) throw Object.assign(new Error('not connected'), { ambiguous: false })
  }
  const results = await Promise.allSettled(['first', 'a', 'b'].map(to => app.backgroundTasks.enqueue(mail, { to })))
  t.match(results.slice(1), [{ reason: { ambiguous: true } }, { reason: { ambiguous: true } }])
})

await t.test('nor does a refusal of the single job settle what the batch before may have stored', async t => {
  const adapter = new UnrulyAdapter({ batch: { max: 10, inFlight: 1 } })
  const app = await makeReady(t, adapter)
  const cause = new Error('full')
  adapter.after = jobs => { if (jobs.length > 1) throw new Error('connection lost after storing') }
  adapter.refuses = () => adapter.calls.length > 2 ? cause : undefined
  const [, ...results] = await Promise.allSettled(['first', 'a', 'b'].map(to => app.backgroundTasks.enqueue(mail, { to })))
  t.match(results, [{ reason: { ambiguous: true, cause } }, { reason: { ambiguous: true, cause } }])
})

await t.test('a job whose time ran out before it was sent never is, and its error says so', async t => {
  const timers = fakeTimers(t)
  const adapter = new UnrulyAdapter({ batch: { max: 10, inFlight: 1 } })
  const app = await makeReady(t, adapter, { enqueueTimeout: 50 })
  const release = latch()
  adapter.before = () => release.opened
  const first = app.backgroundTasks.enqueue(mail, { to: 'first' }).catch((error: unknown) => error)
  const waiting = app.backgroundTasks.enqueue(mail, { to: 'waiting' }).catch((error: unknown) => error)
  await turns()
  timers.tick(50)
  t.match(await first, { ambiguous: true })
  t.match(await waiting, { code: 'FST_ERR_BGT_QUEUE_UNAVAILABLE', ambiguous: false })
  release.open()
  await turns()
  await app.backgroundTasks.enqueue(mail, { to: 'later' })
  t.notOk(adapter.calls.some(({ jobs }) => jobs.some(({ data }) => (data.payload as { to: string }).to === 'waiting')))
})

await t.test('jobs that were sent together are given up one by one, and their call with the last of them', async t => {
  const timers = fakeTimers(t)
  const adapter = new UnrulyAdapter({ batch: { max: 10, inFlight: 1 } })
  const app = await makeReady(t, adapter, { enqueueTimeout: 50 })
  const [first, never] = [latch(), latch()]
  adapter.before = () => adapter.calls.length === 1 ? first.opened : never.opened
  const sent = app.backgroundTasks.enqueue(plain)
  const early = app.backgroundTasks.enqueue(plain).catch((error: unknown) => error)
  timers.tick(20)
  const late = app.backgroundTasks.enqueue(plain).catch((error: unknown) => error)
  first.open()
  await sent
  await turns()
  const { jobs, context } = adapter.calls[1]!
  const signal = context!.signal!
  t.equal(jobs.length, 2)
  timers.tick(30)
  t.match(await early, { code: 'FST_ERR_BGT_QUEUE_UNAVAILABLE', ambiguous: true })
  t.equal(signal.aborted, false)
  timers.tick(20)
  t.match(await late, { code: 'FST_ERR_BGT_QUEUE_UNAVAILABLE', ambiguous: true })
  t.match(signal.reason, { message: 'no answer within 50 ms' })
  adapter.before = () => {}
  await app.backgroundTasks.enqueue(plain)
})

await t.test('what belongs to a transaction goes alone, and at once', async t => {
  const adapter = new UnrulyAdapter({ batch: { max: 10, inFlight: 1 }, transactional: true })
  const app = await makeReady(t, adapter)
  const release = latch()
  adapter.before = (_jobs, context) => context?.tx === undefined ? release.opened : undefined
  const held = app.backgroundTasks.enqueue(plain)
  const tx = {}
  await app.backgroundTasks.enqueue(plain, undefined, { tx })
  await app.backgroundTasks.enqueueMany(mail, [{ to: 'a' }, { to: 'b' }], { tx })
  t.strictSame(adapter.calls.map(({ jobs, context }) => [jobs.length, context?.tx === tx]), [[1, false], [1, true], [2, true]])
  release.open()
  await held
})

await t.test('many payloads go in the chunks that the adapter takes', async t => {
  const adapter = new UnrulyAdapter({ batch: { max: 4, inFlight: 1 } })
  const app = await makeApp(t, { adapter, tasks: [mail] })
  app.post('/', request => request.backgroundTasks.enqueueMany(mail, Array.from({ length: 10 }, (_, index) => ({ to: `${index}` })), { delay: 7 }))
  const enqueued = (await app.inject({ method: 'POST', url: '/' })).json<{ id: string }[]>()
  t.strictSame(adapter.calls.map(({ jobs }) => jobs.length), [4, 4, 2])
  const jobs = adapter.calls.flatMap(({ jobs }) => jobs)
  t.strictSame(enqueued.map(({ id }) => id), jobs.map(({ id }) => id))
  t.ok(jobs.every(({ delay, data }) => delay === 7 && data.requestId === 'req-1'))
  t.equal(app.backgroundTasks.stats().enqueued, 10)
})

await t.test('where storing many breaks off, the error has those that are stored', async t => {
  const adapter = new UnrulyAdapter({ batch: { max: 2, inFlight: 1 } })
  const app = await makeReady(t, adapter)
  adapter.before = () => { if (adapter.calls.length === 2) throw new Error('connection lost') }
  const error = await app.backgroundTasks.enqueueMany(mail, [{ to: '0' }, { to: '1' }, { to: '2' }, { to: '3' }, { to: '4' }]).catch((error: unknown) => error)
  t.match(error, { code: 'FST_ERR_BGT_QUEUE_UNAVAILABLE', ambiguous: true, id: adapter.calls[1]!.jobs[0]!.id })
  t.strictSame((error as { enqueued: { id: string }[] }).enqueued.map(({ id }) => id), adapter.calls[0]!.jobs.map(({ id }) => id))
  t.equal(app.backgroundTasks.stats().enqueued, 2)
})

await t.test('where one of many is refused, the others are stored, and the error says which', async t => {
  const adapter = new UnrulyAdapter()
  const app = await makeReady(t, adapter)
  adapter.refuses = ({ data }) => (data.payload as { to: string }).to === '1' ? new Error('not this one') : undefined
  const error = await app.backgroundTasks.enqueueMany(mail, [{ to: '0' }, { to: '1' }, { to: '2' }]).catch((error: unknown) => error)
  const [zero, one, two] = adapter.calls[0]!.jobs.map(({ id }) => id)
  t.match(error, { id: one, ambiguous: false, enqueued: [{ id: zero }, { id: two }] })
})

const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
const sent: [headers: Record<string, string>, trace: object | undefined][] = [
  [{ traceparent, tracestate: 'a=b, c@d=e/f,' }, { traceparent, tracestate: 'a=b, c@d=e/f,' }],
  [{ traceparent, tracestate: `a=${'x'.repeat(511)}` }, { traceparent }],
  [{ traceparent, tracestate: 'a' }, { traceparent }],
  [{ traceparent, tracestate: 'A=b' }, { traceparent }],
  [{ traceparent, tracestate: 'a=b=c' }, { traceparent }],
  [{ tracestate: 'a=b' }, undefined],
  ...['', 'x'.repeat(15_000), traceparent.toUpperCase(), `ff${traceparent.slice(2)}`, `${traceparent}-x`, traceparent.replace(/-.{32}-/, `-${'0'.repeat(32)}-`)]
    .map((traceparent): [Record<string, string>, undefined] => [{ traceparent, tracestate: 'a=b' }, undefined])
]

for (const [headers, trace] of sent) {
  await t.test(`of what a client sends a job has well-formed trace headers only: ${JSON.stringify(headers).slice(0, 120)}`, async t => {
    const adapter = new UnrulyAdapter()
    const app = await makeApp(t, { adapter, tasks: [plain] })
    app.post('/', request => request.backgroundTasks.enqueue(plain))
    t.equal((await app.inject({ method: 'POST', url: '/', headers })).statusCode, 200)
    t.strictSame(adapter.calls[0]!.jobs[0]!.data.trace, trace)
  })
}

for (const [id, kept] of [['x'.repeat(128), true], ['x'.repeat(129), false], [7, false]] as const) {
  await t.test(`a job has the id of its request if that is text of 128 characters at the most: ${String(id).slice(0, 9)}`, async t => {
    const adapter = new UnrulyAdapter()
    const app = await makeApp(t, { adapter, tasks: [plain] }, { genReqId: () => id as string })
    app.post('/', request => request.backgroundTasks.enqueue(plain))
    t.equal((await app.inject({ method: 'POST', url: '/' })).statusCode, 200)
    t.equal(adapter.calls[0]!.jobs[0]!.data.requestId, kept ? id : undefined)
  })
}

await t.test('of what trace.inject gives, a job has what is text, up to 8,192 characters', async t => {
  const adapter = new UnrulyAdapter()
  const inject = (): Record<string, string> => ({ traceparent: 'mine', list: ['a'] as never, baggage: 'x'.repeat(9_000), last: 'y'.repeat(8_000) })
  const app = await makeReady(t, adapter, { trace: { inject } })
  await app.backgroundTasks.enqueue(plain)
  t.strictSame(adapter.calls[0]!.jobs[0]!.data.trace, { traceparent: 'mine', last: 'y'.repeat(8_000) })
})

await t.test('a shipment that goes alone goes in the context of its caller, a batch in that of nobody', async t => {
  const caller = new AsyncLocalStorage<string>()
  const adapter = new UnrulyAdapter({ batch: { max: 10, inFlight: 1 } })
  const seen: [jobs: number, caller: string | undefined][] = []
  const release = latch()
  adapter.before = jobs => {
    seen.push([jobs.length, caller.getStore()])
    return release.opened
  }
  const app = await makeReady(t, adapter)
  const calls = ['first', 'second', 'third'].map(name => caller.run(name, () => app.backgroundTasks.enqueue(plain)))
  await turns()
  release.open()
  await Promise.all(calls)
  await caller.run('fourth', () => app.backgroundTasks.enqueue(plain))
  t.strictSame(seen, [[1, 'first'], [2, undefined], [1, 'fourth']])
})
