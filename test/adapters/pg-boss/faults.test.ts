import { once } from 'node:events'
import { test } from 'tap'
import { Child } from '../../helpers/child.ts'
import { latch } from '../../helpers/latch.ts'
import { completed, dataOf } from '../../helpers/job.ts'
import { inState, jobOf, Runs, started } from '../../helpers/pg-boss.ts'
import { OwnPostgres, query } from '../../helpers/postgres.ts'

void test('pgBoss and a server that fails', async t => {
  const server = await OwnPostgres.start(t, ['fsync=off', 'full_page_writes=off'])
  const connection = server.url
  const unavailable = { code: 'FST_ERR_BGT_QUEUE_UNAVAILABLE' }

  await t.test('starts without a server, fails at once, and works as soon as there is one', async t => {
    await server.kill()
    const { adapter, log } = await started(t, { connection })
    const job = jobOf()
    await t.rejects(adapter.enqueue([job]), { ...unavailable, ambiguous: false })
    const calls: Promise<unknown>[] = [adapter.status(job.id), adapter.cancel(job.id), adapter.unschedule('any')]
    for (const call of calls) await t.rejects(call, { ...unavailable, ambiguous: false })
    t.match(await adapter.health(), { ok: false, warnings: [], error: /ECONNREFUSED/ })
    const runs = new Runs()
    const consumer = await adapter.work('mails', runs.run, { concurrency: 1 })
    const idle = await adapter.work('reports', runs.run, { concurrency: 1 })
    await idle.close()
    await server.run()
    while (!(await adapter.health()).ok) await new Promise(resolve => setTimeout(resolve, 50))
    t.same(await adapter.enqueue([job]), [{ id: job.id }])
    await runs.reach(1)
    await consumer.close()
    t.match(log.all.map(({ msg }) => msg), [
      'background task queue: PostgreSQL does not answer', 'background task queue: PostgreSQL answers again'
    ])
  })

  await t.test('warns of settings that put jobs at risk', async t => {
    const { adapter } = await started(t, { connection: { connectionString: connection, options: '-c synchronous_commit=off' } })
    const { warnings } = await adapter.health()
    t.match(warnings, [/^fsync is off/, /^full_page_writes is off/, /^synchronous_commit is off/])
    const { adapter: standby } = await started(t, { connection: { connectionString: connection, options: '-c default_transaction_read_only=on' } })
    t.match(await standby.health(), { ok: false, error: /^the server is read-only/ })
    const { adapter: polling } = await started(t, { connection, bossOptions: { useListenNotify: false } })
    t.match((await polling.health()).warnings[2], /^No connection that LISTENs/)
  })

  await t.test('is not well on a server that has become read-only, and is again once it takes jobs', async t => {
    const { adapter } = await started(t, { connection })
    t.match(await adapter.health(), { ok: true })
    // Connections that are there keep their settings.
    await query(connection, 'ALTER DATABASE postgres SET default_transaction_read_only = on')
    await query(connection, 'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = \'client backend\'')
    t.match(await adapter.health(), { ok: false, error: /^the server is read-only/ })
    await query(`${connection}&options=${encodeURIComponent('-c default_transaction_read_only=off')}`, 'ALTER DATABASE postgres RESET default_transaction_read_only')
    await query(connection, 'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = \'client backend\'')
    while (!(await adapter.health()).ok);
  })

  await t.test('keeps its tables in a schema whose name is a word of SQL', async t => {
    const { adapter } = await started(t, { connection, schema: 'Order' })
    const job = jobOf({}, { delay: 60_000 })
    await adapter.enqueue([job])
    t.match(await adapter.status(job.id), { state: 'scheduled' })
    t.same(await query(connection, 'SELECT count(*)::int FROM "order".job WHERE id = $1', [job.id]), [{ count: 1 }])
  })

  await t.test('records what ended while the server was away, once it is back, and runs nothing twice', async t => {
    const { adapter } = await started(t, { connection, lease: 3_000 })
    const go = latch()
    const runs = new Runs(async () => {
      await go.opened
      return { state: 'completed', result: 'done' }
    })
    const jobs = [jobOf(1), jobOf(2), jobOf(3)]
    await adapter.enqueue(jobs)
    await adapter.work('mails', runs.run, { concurrency: 3 })
    await runs.reach(3)
    await server.kill()
    const { data, priority, retry, ...rest } = jobOf()
    await t.rejects(adapter.schedule({ ...rest, name: 'daily', cron: '0 0 * * *', data, priority, retry }), unavailable)
    go.open()
    // Longer than the lease.
    await new Promise(resolve => setTimeout(resolve, 3_500))
    await server.run()
    for (const { id } of jobs) t.match(await inState(adapter, id, 'completed'), { attempts: 1, result: 'done' })
    t.equal(runs.jobs.length, 3)
  })

  await t.test('keeps jobs that run longer than the lease', async t => {
    const { adapter } = await started(t, { connection, lease: 3_000 })
    const runs = new Runs(async () => {
      await new Promise(resolve => setTimeout(resolve, 8_000))
      return completed
    })
    const job = jobOf()
    await adapter.enqueue([job])
    await adapter.work('mails', runs.run, { concurrency: 1 })
    const { adapter: other } = await started(t, { connection, lease: 3_000 })
    await other.work('mails', runs.run, { concurrency: 1 })
    t.match(await inState(adapter, job.id, 'completed'), { attempts: 1 })
    t.equal(runs.jobs.length, 1)
  })

  await t.test('tells a run that has lost its job, and does not record what it returns', async t => {
    const { adapter } = await started(t, { connection, lease: 1_000 })
    const runs = new Runs(async ({ signal, attempt }) => {
      if (attempt === 1 && !signal.aborted) await once(signal, 'abort')
      return { state: 'completed', result: attempt }
    })
    const job = jobOf()
    await adapter.enqueue([job])
    const consumer = await adapter.work('mails', runs.run, { concurrency: 2 })
    await runs.reach(1)
    await query(connection, 'UPDATE pgboss.job SET heartbeat_on = now() - interval \'1 hour\', retry_count = retry_count + 1 WHERE id = $1', [job.id])
    t.match(await inState(adapter, job.id, 'completed'), { result: 3, attempts: 3 })
    t.match(runs.jobs[0]!.signal.reason, unavailable)
    await consumer.close()
  })

  await t.test('tells a run whose job was ended by hand, as its lease cannot be renewed', async t => {
    const { adapter } = await started(t, { connection, lease: 1_000 })
    const runs = new Runs(async ({ signal }) => {
      if (!signal.aborted) await once(signal, 'abort')
      return completed
    })
    const job = jobOf()
    await adapter.enqueue([job])
    await adapter.work('mails', runs.run, { concurrency: 1 })
    await runs.reach(1)
    await query(connection, 'UPDATE pgboss.job SET state = \'cancelled\', completed_on = now() WHERE id = $1', [job.id])
    const { signal } = runs.jobs[0]!
    if (!signal.aborted) await once(signal, 'abort')
    t.match(signal.reason, unavailable)
    t.match(await adapter.status(job.id), { state: 'cancelled' }, 'and what it returns is not recorded')
  })

  await t.test('runs the job of a worker that was killed again, and gives up one that kills every worker', async t => {
    const { adapter, log } = await started(t, { connection, lease: 1_000, maxStalled: 2 })
    const job = jobOf()
    await adapter.enqueue([job])
    for (let death = 1; death <= 2; death++) {
      const worker = new Child(t, 'test/fixtures/pg-boss/worker.ts', [connection, 'mails', 'pgboss', '1000'])
      await worker.line(/^holds a job$/)
      await worker.kill()
    }
    const runs = new Runs()
    const consumer = await adapter.work('mails', runs.run, { concurrency: 1 })
    t.match(await inState(adapter, job.id, 'failed'), { attempts: 2, error: { code: 'FST_ERR_BGT_STALLED', message: /2 workers in a row/ } })
    t.same(runs.jobs, [])
    t.match(log.all.filter(({ level }) => level === 50), [{ taskId: job.id, task: 'mail' }])

    const [next] = [jobOf()]
    await adapter.enqueue([next])
    await runs.reach(1)
    await consumer.close()
  })

  await t.test('records a result that PostgreSQL cannot store without it, and the others whole', async t => {
    const { adapter, log } = await started(t, { connection: { connectionString: connection, options: '-c max_stack_depth=100kB' } })
    const deep = JSON.parse('['.repeat(2_000) + ']'.repeat(2_000)) as unknown
    const [bad, good] = [jobOf('bad'), jobOf('good')]
    await adapter.enqueue([bad, good])
    const both = latch()
    const runs = new Runs(async job => {
      const { payload } = dataOf(job)
      if (runs.jobs.length === 2) both.open()
      if (payload === 'bigint') return { state: 'completed', result: 1n }
      await both.opened
      return { state: 'completed', result: payload === 'bad' ? deep : 'good' }
    })
    await adapter.work('mails', runs.run, { concurrency: 2 })
    t.equal((await inState(adapter, bad.id, 'completed')).result, undefined)
    t.equal((await inState(adapter, good.id, 'completed')).result, 'good')
    const bigint = jobOf('bigint')
    await adapter.enqueue([bigint])
    t.equal((await inState(adapter, bigint.id, 'completed')).result, undefined)
    t.match(log.all, [
      { msg: /what became of a job could not be recorded, and is tried again$/ },
      { msg: /no longer so: what became of a job could not be recorded/ },
      { msg: /the result of a job is no JSON, and is not kept$/ }
    ])
    await t.rejects(adapter.enqueue([jobOf(deep)]), { code: '54001', ambiguous: false })
  })

  await t.test('answers soon while the server hangs, closes, and leaves nothing behind', async t => {
    const { adapter, log } = await started(t, { connection })
    const runs = new Runs(() => new Promise(() => {}))
    const job = jobOf()
    await adapter.enqueue([job])
    await adapter.work('mails', runs.run, { concurrency: 1 })
    await runs.reach(1)
    server.freeze()
    await t.rejects(adapter.enqueue([jobOf()]), unavailable)
    t.match(await adapter.health(), { ok: false })
    await adapter.close({ grace: 10 })
    server.thaw()
    t.equal(log.all.filter(({ level }) => level >= 40).length, 1)
    const { adapter: next } = await started(t, { connection })
    t.match(await next.status(job.id), { state: 'running', attempts: 1 })
  })
})
