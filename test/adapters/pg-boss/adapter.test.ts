import { once } from 'node:events'
import pg from 'pg'
import { type Test, test } from 'tap'
import { pgBoss } from '../../../lib/adapters/pg-boss/index.ts'
import type { Receipt, Job } from '../../../types/index.ts'
import { completed, dataOf } from '../../helpers/job.ts'
import { latch } from '../../helpers/latch.ts'
import { inState, jobOf, type PgBossAdapter, Runs, started } from '../../helpers/pg-boss.ts'
import { query, schemaOf, sharedPostgres } from '../../helpers/postgres.ts'

void test('pgBoss', async t => {
  const connection = await sharedPostgres(t)
  const schema = schemaOf(t, connection)
  const options = { connection, schema }

  void t.test('refuses options that are wrong, with what was expected and what came', async t => {
    const pool = new pg.Pool()
    for (const [given, message] of [
      [{ lease: 10 }, 'Invalid options/lease: Expected number to be greater or equal to 1000, got 10'],
      [{ maxStalled: 0 }, 'Invalid options/maxStalled: Expected integer to be greater or equal to 1, got 0'],
      [{ conection: '' }, 'Invalid options/conection: Unexpected property'],
      [{ connection: 5 }, 'Invalid options/connection: Expected a URL or the options of a pg.Pool, got 5'],
      [{ pool: {} }, 'Invalid options/pool/connect: Expected required property, got undefined'],
      [{ pool, connection }, 'Invalid options/pool: Expected either "pool" or "connection", got both'],
      [{ workOptions: { batchSize: 0 } }, 'Invalid options/workOptions/batchSize: Expected integer to be greater or equal to 1, got 0']
    ] as const) {
      t.throws(() => pgBoss(given as object), { code: 'FST_ERR_BGT_INVALID_OPTIONS', message })
    }
    await t.rejects(started(t, { connection, schema: 'no-schema' }), { code: 'FST_ERR_BGT_INVALID_OPTIONS', message: /Schema name "no-schema"/ })
    await t.rejects(started(t, { connection, schema, bossOptions: { superviseIntervalSeconds: 0 } }), { code: 'FST_ERR_BGT_INVALID_OPTIONS', message: /superviseIntervalSeconds/ })
  })

  void t.test('is not to be used before its start, nor after its end', async t => {
    const adapter = pgBoss(options)
    await t.rejects(adapter.enqueue([jobOf()]), { code: 'FST_ERR_BGT_QUEUE_UNAVAILABLE', message: /not started/, ambiguous: false })
    t.match(await adapter.health(), { ok: false, error: 'it was not started' })
    await adapter.close()
    await t.rejects(adapter.enqueue([jobOf()]), { code: 'FST_ERR_BGT_QUEUE_UNAVAILABLE', message: /closed/, ambiguous: false })
    t.match(await adapter.health(), { ok: false, error: 'it is closed' })
  })

  void t.test('refuses names of queues that pg-boss would refuse', async t => {
    const log = { error () {} } as never
    await t.rejects(pgBoss(options).start({ queues: ['new mails'], log }), { code: 'FST_ERR_BGT_INVALID_OPTIONS' })
    const { adapter } = await started(t, options)
    await t.rejects(adapter.work('others', new Runs().run, { concurrency: 1 }), { code: 'FST_ERR_BGT_INVALID_OPTIONS' })
  })

  void t.test('lets several processes make the tables at the same time', async t => {
    const schema = schemaOf(t, connection)
    const all = await Promise.all(Array.from({ length: 4 }, () => started(t, { connection, schema })))
    const receipts = await Promise.all(all.map(({ adapter }) => adapter.enqueue([jobOf()])))
    t.equal(receipts.length, 4)
    t.same(all.flatMap(({ log }) => log.all), [])
  })

  void t.test('stores a batch over several queues, and says of each id whether it was known', async t => {
    const { adapter } = await started(t, options)
    const [first, second, third] = [jobOf(1), jobOf(2, { queue: 'reports' }), jobOf(3)]
    t.same(await adapter.enqueue([first]), [{ id: first.id }])
    t.same(await adapter.enqueue([second, first, third, third]), [
      { id: second.id }, { id: first.id, deduplicated: true }, { id: third.id }, { id: third.id, deduplicated: true }
    ])
    const racing = jobOf()
    const receipts = await Promise.all(Array.from({ length: 8 }, () => adapter.enqueue([racing])))
    t.equal(receipts.flat().filter(({ deduplicated }) => deduplicated === true).length, 7)
    await t.rejects(adapter.enqueue([jobOf(1, { queue: 'unknown' })]), { message: 'Queue unknown does not exist', ambiguous: false })
    await t.rejects(adapter.enqueue([jobOf(1, { queue: 'reports' }), jobOf(1, { queue: 'unknown' })]), { message: 'Queue unknown does not exist', ambiguous: true })
  })

  void t.test('keeps what PostgreSQL cannot keep in jsonb', async t => {
    const { adapter } = await started(t, { connection, schema: schemaOf(t, connection) })
    const payload = { nul: '\0', half: '\ud83d', other: '\udc00', whole: '😀', slash: '\\u0000', deep: [[[{ a: null }]]] }
    const runs = new Runs(() => ({ state: 'completed', result: payload }))
    const job = jobOf(payload)
    await adapter.enqueue([job])
    await adapter.work('mails', runs.run, { concurrency: 1 })
    await runs.reach(1)
    t.same(runs.jobs[0]!.data, job.data)
    t.same((await inState(adapter, job.id, 'completed')).result, payload)
  })

  void t.test('stores in the transaction of the caller', async t => {
    const { adapter } = await started(t, { connection: { connectionString: connection, max: 1 }, schema: schemaOf(t, connection) })
    const runs = new Runs()
    await adapter.work('mails', runs.run, { concurrency: 1 })
    const client = new pg.Client(connection)
    await client.connect()
    t.teardown(() => client.end())
    const [kept, gone] = [jobOf('kept'), jobOf('gone')]

    await client.query('BEGIN')
    t.same(await adapter.enqueue([gone], { tx: client }), [{ id: gone.id }])
    t.same(await adapter.enqueue([gone], { tx: client }), [{ id: gone.id, deduplicated: true }])
    t.equal(await adapter.status(gone.id), null, 'not to be seen before the commit')
    await client.query('ROLLBACK')
    t.equal(await adapter.status(gone.id), null)

    await client.query('BEGIN')
    await adapter.enqueue([kept], { tx: { executeSql: (text: string, values: unknown[]) => client.query(text, values) } })
    await client.query('COMMIT')
    await runs.reach(1)
    t.equal(runs.jobs[0]!.id, kept.id)

    await t.rejects(adapter.enqueue([jobOf()], { tx: {} }), { code: 'FST_ERR_BGT_INVALID_OPTIONS', message: 'Invalid tx: Expected a client of pg in a transaction, or an object with executeSql, got {}', ambiguous: false })
  })

  void t.test('needs no connection but the caller\'s for a transaction', async t => {
    const pool = new pg.Pool({ connectionString: connection, max: 1 })
    const { adapter } = await started(t, { pool, schema: schemaOf(t, connection) })
    const client = await pool.connect()
    await client.query('BEGIN')
    const job = jobOf()
    t.same(await adapter.enqueue([job], { tx: client }), [{ id: job.id }])
    await t.rejects(adapter.enqueue([jobOf()]), { code: 'FST_ERR_BGT_QUEUE_UNAVAILABLE', message: /no connection within 2000 ms/, ambiguous: false })
    await client.query('COMMIT')
    client.release()
    t.match(await adapter.status(job.id), { state: 'pending' })
    await adapter.close()
    t.equal((await pool.query('SELECT 1')).rowCount, 1, 'the pool of the caller stays open')
    t.equal(pool.listenerCount('error'), 0)
    await pool.end()
  })

  /**
   * A transaction and a batch, each of which waits for a job of the other, until PostgreSQL ends the batch. It ends the
   * one that looks for a deadlock first, which on a busy machine may be the transaction: then it is done over.
   */
  function byId (one: Job, other: Job): [Job, Job] {
    return one.id < other.id ? [one, other] : [other, one]
  }

  async function deadlock (t: Test, adapter: PgBossAdapter): Promise<{ batch: Promise<Receipt[]>, commit: () => Promise<unknown> }> {
    const client = new pg.Client(connection)
    await client.connect()
    t.teardown(() => client.end())
    const { pid } = (await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')).rows[0]!
    for (;;) {
      // A batch is stored by id.
      const [second, first] = byId(jobOf(1), jobOf(2))
      await client.query('BEGIN')
      await adapter.enqueue([first], { tx: client })
      const batch = adapter.enqueue([second, first])
      batch.catch(() => {})
      while ((await query(connection, 'SELECT 1 FROM pg_stat_activity WHERE $1 = ANY(pg_blocking_pids(pid))', [pid])).length === 0);
      try {
        await adapter.enqueue([second], { tx: client })
        return { batch, commit: () => client.query('COMMIT') }
      } catch (error) {
        if ((error as { code?: unknown }).code !== '40P01') throw error
        await client.query('ROLLBACK')
        await batch
      }
    }
  }

  void t.test('rejects a batch that a deadlock has ended as one to be sent again', async t => {
    const { adapter } = await started(t, { connection, schema: schemaOf(t, connection) })
    const { batch, commit } = await deadlock(t, adapter)
    await t.rejects(batch, { code: '40P01', ambiguous: false, again: true })
    await commit()
  })

  void t.test('leaves a job that it postpones to others', async t => {
    const own = { connection, schema: schemaOf(t, connection) }
    const [unable, able] = [(await started(t, own)).adapter, (await started(t, own)).adapter]
    const refusals = new Runs(() => ({ state: 'postponed', error: new Error('not mine'), delay: 10 }))
    await unable.work('mails', refusals.run, { concurrency: 2 })
    await unable.enqueue([jobOf()])
    await refusals.reach(1)
    const began = performance.now()
    const runs = new Runs()
    await able.work('mails', runs.run, { concurrency: 2 })
    await runs.reach(1)
    // It is asked for again by polls, two a second, and not as soon as its 10 ms are over.
    const polls = Math.ceil((performance.now() - began) / 500)
    t.ok(refusals.jobs.length < Math.max(10, 2 + 2 * polls), `postponed ${refusals.jobs.length} times, ${polls} polls`)
  })

  void t.test('gives a job back that it gets after it was closed', async t => {
    const schema = schemaOf(t, connection)
    const { adapter } = await started(t, { connection, schema })
    const job = jobOf()
    await adapter.enqueue([job])
    const client = new pg.Client(connection)
    await client.connect()
    await client.query('BEGIN')
    await client.query(`LOCK TABLE ${schema}.job IN ACCESS EXCLUSIVE MODE`)
    const runs = new Runs()
    const closing = (await adapter.work('mails', runs.run, { concurrency: 1 })).close()
    const late = await adapter.work('mails', runs.run, { concurrency: 1 })
    while ((await query(connection, 'SELECT 1 FROM pg_stat_activity WHERE wait_event_type = \'Lock\' AND query LIKE $1', [`%"${schema}".job%SKIP LOCKED%`])).length === 0);
    const latelyClosed = late.close()
    await client.query('COMMIT')
    await client.end()
    await Promise.all([closing, latelyClosed])
    t.match(await adapter.status(job.id), { state: 'pending', attempts: 0 })
    await adapter.work('mails', runs.run, { concurrency: 1 })
    await runs.reach(1)
    t.equal(runs.jobs[0]!.attempt, 1)
  })

  void t.test('closes while it starts', async () => {
    const adapter = pgBoss(options)
    const starting = adapter.start({ queues: [], log: { info () {} } as never })
    await adapter.close()
    await starting
  })

  void t.test('closes, and ends its pool, although a listener of pg-boss throws', async t => {
    const { adapter, log } = await started(t, { connection: { connectionString: connection, application_name: schema }, schema })
    adapter.native.once('stopped', () => { throw new Error('no goodbye') })
    await adapter.close()
    while ((await query(connection, 'SELECT 1 FROM pg_stat_activity WHERE application_name = $1', [schema])).length > 0);
    t.same(log.all, [])
  })

  void t.test('tells the log what pg-boss says, once', async t => {
    const { adapter, log } = await started(t, options)
    const error = new Error('no maintenance')
    const warning = { message: 'large backlog of "mails"', data: { type: 'slow_query', values: ['canary'] } }
    for (let times = 0; times < 3; times++) {
      adapter.native.emit('error', error)
      adapter.native.emit('warning', warning)
    }
    t.notMatch(JSON.stringify(log.all), 'canary')
    t.match(log.all.map(({ msg, err }) => ({ msg, err })), [
      { msg: 'background task queue: pg-boss has failed at its maintenance', err: { message: 'no maintenance' } },
      { msg: 'background task queue: pg-boss warns: large backlog of "…"' }
    ])
    t.equal(log.all.length, 2)
  })

  void t.test('follows the verdicts', async t => {
    const { adapter } = await started(t, { connection, schema: schemaOf(t, connection) })
    const error = Object.assign(new Error('no'), { code: 'E_NO' })
    const said = { name: 'Error', message: 'no', code: 'E_NO' }
    const runs = new Runs(job => {
      const [{ payload }, { attempt }] = [dataOf(job), job]
      const delay = 20
      if (payload === 'retried' && attempt < 3) return { state: 'retrying', error, delay }
      if (payload === 'retried, then postponed' && runs.jobs.length < 3) return { state: attempt === 1 ? 'retrying' : 'postponed', error, delay }
      if (payload === 'postponed' && runs.jobs.length < 3) return { state: 'postponed', error, delay }
      if (payload === 'failed' || payload === 'cancelled') return { state: payload, error }
      return completed
    })
    const expect = async (payload: string, state: string, attempts: number[]): Promise<unknown> => {
      runs.jobs.length = 0
      const job = jobOf(payload)
      await adapter.enqueue([job])
      const info = await inState(adapter, job.id, state)
      t.same(runs.jobs.map(({ attempt }) => attempt), attempts, payload)
      t.equal(info.attempts, attempts.at(-1))
      return info.error
    }
    await adapter.work('mails', runs.run, { concurrency: 5 })
    t.equal(await expect('retried', 'completed', [1, 2, 3]), undefined)
    t.equal(await expect('postponed', 'completed', [1, 1, 1]), undefined)
    t.equal(await expect('retried, then postponed', 'completed', [1, 2, 2]), undefined)
    t.same(await expect('failed', 'failed', [1]), said)
    t.same(await expect('cancelled', 'cancelled', [1]), said)
    t.equal(await expect('completed', 'completed', [1]), undefined)
  })

  void t.test('tells where a job is', async t => {
    const { adapter } = await started(t, { connection, schema: schemaOf(t, connection) })
    const job = jobOf({ a: 1 }, { queue: 'reports' })
    const [seen, go] = [latch(), latch()]
    const later = jobOf({}, { queue: 'reports', delay: 60_000 })
    await adapter.enqueue([job, later])
    t.match(await adapter.status(job.id), { id: job.id, task: 'mail', queue: 'reports', state: 'pending', attempts: 0, enqueuedAt: job.data.enqueuedAt })
    t.match(await adapter.status(later.id), { state: 'scheduled', attempts: 0 })
    const runs = new Runs(async job => {
      await job.progress({ percent: 50 })
      seen.open()
      await go.opened
      return { state: 'retrying', error: new Error('again'), delay: 60_000 }
    })
    const consumer = await adapter.work('reports', runs.run, { concurrency: 1 })
    await seen.opened
    const info = await adapter.status(job.id)
    t.match(info, { state: 'running', attempts: 1, progress: { percent: 50 } })
    t.type(info!.startedAt, 'number')
    go.open()
    t.match(await inState(adapter, job.id, 'retrying'), { attempts: 1, error: { name: 'Error', message: 'again' } })
    await consumer.close()
    t.equal(await adapter.status('7d0a4b3e-0000-4000-8000-000000000000'), null)
    t.equal(await adapter.status('no uuid'), null)
  })

  void t.test('cancels what waits, and aborts what runs', async t => {
    const { adapter } = await started(t, options)
    const [waiting, running] = [jobOf({}, { delay: 60_000 }), jobOf({}, { queue: 'reports', priority: 100 })]
    await adapter.enqueue([waiting, running])
    t.equal(await adapter.cancel(waiting.id), 'cancelled')
    t.match(await adapter.status(waiting.id), { state: 'cancelled', error: { code: 'FST_ERR_BGT_CANCELLED', message: 'Task "mail" was cancelled' } })
    t.equal(await adapter.cancel(waiting.id), 'finished')
    t.equal(await adapter.cancel('7d0a4b3e-0000-4000-8000-000000000000'), 'not-found')

    const runs = new Runs(async ({ signal }) => {
      if (!signal.aborted) await once(signal, 'abort')
      return { state: 'cancelled', error: signal.reason as Error }
    })
    const { adapter: worker } = await started(t, options)
    await worker.work('reports', runs.run, { concurrency: 1 })
    await runs.reach(1)
    const { id } = runs.jobs[0]!
    t.equal(await adapter.cancel(id), 'running')
    t.match(await inState(adapter, id, 'cancelled'), { error: { code: 'FST_ERR_BGT_CANCELLED' } })
    t.equal(await adapter.cancel(id), 'finished')
  })

  void t.test('wakes a worker at once, not at its next poll', async t => {
    const schema = schemaOf(t, connection)
    const { adapter } = await started(t, { connection, schema, workOptions: { pollingIntervalSeconds: 3_600 } })
    const { adapter: producer } = await started(t, { connection, schema })
    const runs = new Runs()
    await adapter.work('mails', runs.run, { concurrency: 1 })
    await adapter.work('reports', runs.run, { concurrency: 1 })
    for (let count = 1; count <= 3; count++) {
      await producer.enqueue([jobOf()])
      await runs.reach(count)
    }
    t.equal(runs.jobs.length, 3)
  })

  void t.test('gives back what does not end within the grace', async t => {
    const { adapter } = await started(t, { connection, schema: schemaOf(t, connection) })
    const never = new Runs(() => new Promise(() => {}))
    const jobs = [jobOf(1), jobOf(2)]
    await adapter.enqueue(jobs)
    const consumer = await adapter.work('mails', never.run, { concurrency: 1 })
    await never.reach(1)
    const closing = consumer.close()
    await consumer.close({ grace: 1 })
    await closing
    t.match(never.jobs[0]!.signal.reason, { code: 'FST_ERR_BGT_QUEUE_UNAVAILABLE' })
    const runs = new Runs()
    await adapter.work('mails', runs.run, { concurrency: 2 })
    await runs.reach(2)
    t.same(runs.jobs.map(({ attempt }) => attempt).sort(), [1, 2])
  })

  void t.test('runs no more than the concurrency at once, and jobs of a higher priority first', async t => {
    const { adapter } = await started(t, { connection, schema: schemaOf(t, connection) })
    await adapter.enqueue([...Array(20).keys()].map(n => jobOf(n, { priority: n < 10 ? 1 : 100 })))
    let running = 0
    let most = 0
    const runs = new Runs(async () => {
      most = Math.max(most, ++running)
      await new Promise(resolve => setImmediate(resolve))
      running--
      return completed
    })
    await adapter.work('mails', runs.run, { concurrency: 1 })
    await runs.reach(20)
    t.equal(most, 1)
    t.same(runs.jobs.map(job => dataOf(job).payload), [...Array(10).keys()].map(n => n + 10).concat([...Array(10).keys()]))
  })

  void t.test('starts jobs that it gets together by priority, then when they are due, then in order', async t => {
    const pool = new pg.Pool({ connectionString: connection })
    const { adapter } = await started(t, { pool, schema: schemaOf(t, connection) })
    t.teardown(() => pool.end())
    // A hash join, which PostgreSQL prefers for longer queues, returns them in no order.
    pool.on('acquire', client => { void client.query('SET enable_nestloop = off; SET jit = off') })
    const jobs = [...Array(40).keys()].map(n => jobOf(n, { priority: [50, 1, 100][n % 3]! }))
    const single = jobOf(40)
    const delayed = [...Array(20).keys()].map(n => jobOf(n + 41, { delay: n < 10 ? 20 : 10 }))
    await adapter.enqueue(jobs)
    await adapter.enqueue([single])
    await adapter.enqueue(delayed)
    await new Promise(resolve => setTimeout(resolve, 40))
    const runs = new Runs()
    await adapter.work('mails', runs.run, { concurrency: 61 })
    await runs.reach(61)
    const expected = [...jobs, single, ...delayed].toSorted((a, b) => b.priority - a.priority || a.delay - b.delay)
    t.same(runs.jobs.map(job => dataOf(job).payload), expected.map(({ data }) => data.payload))
  })

  void t.test('runs what a schedule stores', async t => {
    const schema = schemaOf(t, connection)
    const { adapter } = await started(t, { connection, schema, bossOptions: { cronMonitorIntervalSeconds: 1 } })
    const schedule = { name: 'every minute', cron: '* * * * *', queue: 'reports', task: 'mail', data: { payload: 1, version: 2 }, priority: 7, retry: jobOf().retry }
    await adapter.schedule({ ...schedule, queue: 'mails' })
    await adapter.schedule({ ...schedule, timezone: 'Europe/Berlin' })
    t.match(await adapter.native.getSchedules(), [{ name: 'reports', key: 'every/20/minute', timezone: 'Europe/Berlin', options: { missed: 'once' } }], 'replaced')
    const runs = new Runs()
    await adapter.work('reports', runs.run, { concurrency: 1 })
    await runs.reach(1)
    t.match(runs.jobs[0], { task: 'mail', data: { payload: 1, version: 2 }, attempt: 1 })
    t.type(dataOf(runs.jobs[0]!).enqueuedAt, 'number')
    t.equal(await adapter.unschedule('every minute'), true)
    t.equal(await adapter.unschedule('every minute'), false)
    await t.rejects(adapter.schedule({ ...schedule, cron: '* * * * * *' }), { code: 'FST_ERR_BGT_NO_CAPABILITY' })
    await t.rejects(adapter.schedule({ ...schedule, cron: '99 * * * *' }), { code: 'FST_ERR_BGT_INVALID_OPTIONS' })
  })

  void t.test('has a dead letter queue where pg-boss is told to have one', async t => {
    const { adapter } = await started(t, { connection, schema: schemaOf(t, connection), queueOptions: { deadLetter: 'dead' } })
    const job = jobOf('broken')
    await adapter.enqueue([job])
    await adapter.work('mails', new Runs(() => ({ state: 'failed', error: new Error('no') })).run, { concurrency: 1 })
    t.match(await inState(adapter, job.id, 'failed'), { error: { message: 'no' } })
    t.match(await adapter.native.findJobs('dead'), [{ sourceId: job.id, data: { task: 'mail' } }])
  })

  void t.test('lets pg-boss give up a job that has a dead letter queue', async t => {
    const schema = schemaOf(t, connection)
    const { adapter } = await started(t, { connection, schema, maxStalled: 1, queueOptions: { deadLetter: 'dead' } })
    const job = jobOf()
    await adapter.enqueue([job])
    await adapter.native.fetch('mails')
    await query(connection, `UPDATE ${schema}.job SET heartbeat_on = now() - interval '1 hour' WHERE id = $1`, [job.id])
    await adapter.native.supervise('mails')
    t.match(await adapter.status(job.id), { state: 'failed', error: { code: 'FST_ERR_BGT_STALLED' } })
    t.match(await adapter.native.findJobs('dead'), [{ sourceId: job.id }])
  })

  void t.test('says so when a policy of the queue leaves a job out', async t => {
    const { adapter } = await started(t, { connection, schema: schemaOf(t, connection), queueOptions: { policy: 'short' } })
    const [first, second] = byId(jobOf(), jobOf())
    const receipts = await adapter.enqueue([first, second])
    t.match(receipts, [{ id: first.id }, { id: second.id, error: { code: 'FST_ERR_BGT_INVALID_OPTIONS' } }])
  })

  void t.test('hands on what it can read of jobs that were not stored by an adapter, and tells their status', async t => {
    const schema = schemaOf(t, connection)
    const { adapter } = await started(t, { connection, schema })
    const data = { payload: 1, version: 1 }
    const kept = [
      [{ foreign: true }, '', undefined], [null, '', undefined], [[], '', undefined], [5, '', undefined], [{ task: 5, data: { value: data } }, '', data],
      [{ task: 'mail' }, 'mail', undefined], [{ task: 'mail', data: null }, 'mail', undefined], [{ task: 'mail', data: { json: '{"a' } }, 'mail', undefined],
      [{ task: 'mail', data: { json: 5 } }, 'mail', 5], [{ task: 'mail', data: { value: [1] } }, 'mail', [1]], [{ task: 'mail', data: { value: data } }, 'mail', data]
    ] as const
    const runs = new Runs(() => ({ state: 'failed', error: { name: 'Error', message: 'not read' } }))
    const jobs = kept.map(([row]) => ({ ...jobOf(), row }))
    await adapter.native.insert('mails', jobs.map(({ id, row }) => ({ id, data: row as object })))
    await query(connection, `UPDATE ${schema}.job SET output = '"foreign"' WHERE name = 'mails'`)
    for (const { id } of jobs) t.match(await adapter.status(id), { id, state: 'pending', owner: undefined })
    const owned = jobOf({}, { queue: 'reports', data: { payload: 1, version: 1, enqueuedAt: 3, owner: 'ada' } })
    await adapter.enqueue([owned])
    t.match(await adapter.status(owned.id), { owner: 'ada', enqueuedAt: 3 })
    await adapter.work('mails', runs.run, { concurrency: 3 })
    await runs.reach(kept.length)
    for (const [place, [, task, data]] of kept.entries()) {
      const job = runs.jobs.find(({ id }) => id === jobs[place]!.id)!
      t.equal(job.task, task)
      t.match(job.data, data)
      t.match(await inState(adapter, job.id, 'failed'), { task, error: { message: 'not read' } })
    }
  })

  void t.test('deletes what has ended', async t => {
    const { adapter } = await started(t, { connection, schema: schemaOf(t, connection), retention: { completed: 0, failed: 0 } })
    const job = jobOf()
    await adapter.enqueue([job])
    await adapter.work('mails', new Runs().run, { concurrency: 1 })
    while (await adapter.status(job.id) !== null) await new Promise(resolve => setTimeout(resolve, 50))
    t.same(await adapter.enqueue([job]), [{ id: job.id }])
  })

  void t.test('is well when its server is', async t => {
    const { adapter } = await started(t, options)
    const health = await adapter.health()
    t.equal(health.ok, true)
    t.type(health.latency, 'number')
    t.equal((await query<{ listening: number }>(connection, 'SELECT 1 AS listening')).length, 1)
  })
})
