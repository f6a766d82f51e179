import pg from 'pg'
import { test } from 'tap'
import { defineTask } from '../../../lib/index.ts'
import { pgBoss } from '../../../lib/adapters/pg-boss/index.ts'
import { inOrder } from '../../../lib/adapters/pg-boss/statements.ts'
import { makeApp } from '../../helpers/app.ts'
import { completed, dataOf } from '../../helpers/job.ts'
import { latch } from '../../helpers/latch.ts'
import { jobOf, Runs, started } from '../../helpers/pg-boss.ts'
import { query, schemaOf, sharedPostgres } from '../../helpers/postgres.ts'

void test('what pgBoss stores', async t => {
  const connection = await sharedPostgres(t)

  void t.test('is given in order of when it is due, also what was delayed or postponed', async t => {
    const schema = schemaOf(t, connection)
    const { adapter } = await started(t, { connection, schema })
    const client = new pg.Client(connection)
    await client.connect()
    t.teardown(() => client.end())
    const hour = 3_600_000
    const order: unknown[] = []
    const runs = new Runs(job => {
      order.push(dataOf(job).payload)
      return order.length > 1 ? completed : { state: 'postponed', error: new Error('not mine'), delay: hour }
    })
    await adapter.enqueue([jobOf('last', { delay: 3 * hour })])
    await client.query('BEGIN')
    await adapter.enqueue([jobOf('third', { delay: 2 * hour })], { tx: client })
    await client.query('COMMIT')
    const postponed = jobOf('postponed')
    await adapter.enqueue([postponed])
    const consumer = await adapter.work('mails', runs.run, { concurrency: 1 })
    await runs.reach(1)
    await consumer.close()
    await adapter.enqueue([jobOf('first')])
    // Four hours later.
    await query(connection, `UPDATE ${schema}.job SET start_after = start_after - interval '4 hours', created_on = created_on - interval '4 hours' WHERE name = 'mails'`)
    await adapter.work('mails', runs.run, { concurrency: 1 })
    await runs.reach(5)
    t.same(order, ['postponed', 'first', 'postponed', 'third', 'last'])
  })

  void t.test('a key that another transaction holds delays nobody but who wants it, too', async t => {
    const adapter = pgBoss({ connection, schema: schemaOf(t, connection) })
    const task = defineTask({ name: 'mail', run () {} })
    const app = await makeApp(t, { adapter, tasks: [task], enqueueTimeout: 120_000 })
    await app.ready()
    const client = new pg.Client(connection)
    await client.connect()
    t.teardown(() => client.end())
    await client.query('BEGIN')
    const { backgroundTasks } = app
    const { id } = await backgroundTasks.enqueue(task, undefined, { key: 'locked', tx: client })
    const [others, last] = [[] as unknown[], latch()]
    // More of them than the adapter takes at a time, and than it has connections.
    const locked = Array.from({ length: 20 }, async () => {
      const receipt = await backgroundTasks.enqueue(task, undefined, { key: 'locked' })
      t.equal(others.length, 40, 'comes after the others')
      return receipt
    })
    for (let count = 1; count <= 40; count++) {
      void backgroundTasks.enqueue(task).then(receipt => { if (others.push(receipt) === 40) last.open() })
    }
    await last.opened
    await client.query('COMMIT')
    t.same((await Promise.all(locked)).map(receipt => ({ ...receipt })), Array(20).fill({ id, deduplicated: true }))
  })

  void t.test('rejects, as to be sent again, what a serializable transaction has to do over', async t => {
    const { adapter } = await started(t, { connection: { connectionString: connection, options: '-c default_transaction_isolation=serializable' }, schema: schemaOf(t, connection) })
    const client = new pg.Client(connection)
    await client.connect()
    t.teardown(() => client.end())
    const job = jobOf()
    await client.query('BEGIN')
    await adapter.enqueue([job], { tx: client })
    await t.rejects(adapter.enqueue([job], { noWait: true }), { code: '55P03', ambiguous: false, again: true })
    const { pid } = (await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')).rows[0]!
    const waiting = adapter.enqueue([job])
    waiting.catch(() => {})
    while ((await query(connection, 'SELECT 1 FROM pg_stat_activity WHERE $1 = ANY(pg_blocking_pids(pid))', [pid])).length === 0);
    await client.query('COMMIT')
    await t.rejects(waiting, { code: '40001', ambiguous: false, again: true })
    t.same(await adapter.enqueue([job], { noWait: true }), [{ id: job.id, deduplicated: true }])
  })

  void t.test('keeps the trace context for a pg-boss that asks for it', async t => {
    const db = { executeSql: async (text: string) => ({ rows: await query(connection, text) }) }
    const row = '1 AS id, 2 AS data, 0 AS "retryCount", NULL::timestamp AS "singletonOn", now() AS "createdOn", now() AS "startAfter", \'cancel\' AS "groupTier", 1 AS priority'
    t.match(await inOrder(db).executeSql(`SELECT ${row}, 'trace' AS "__traceContext"`), { rows: [{ id: 1, isCancelled: true, __traceContext: 'trace' }] })
    t.notOk('__traceContext' in (await inOrder(db).executeSql(`SELECT ${row}`)).rows[0])
  })
})
