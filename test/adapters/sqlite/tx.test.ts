import t from 'tap'
import { makeJob, makeJobs } from '../../helpers/job.ts'
import { complete, Stage } from '../../helpers/sqlite.ts'
import { turns } from '../../helpers/timers.ts'

await t.test('a job belongs to the transaction of the application', async t => {
  const stage = new Stage(t)
  const database = stage.connect()
  database.exec('create table users (id integer primary key)')
  for (const [name, options] of Object.entries({ 'the connection that was given': { database }, 'a connection of its own': {} })) {
    await t.test(name, async t => {
      const adapter = await stage.start(options)
      const [first, second] = makeJobs(2)
      database.exec('begin; insert into users values (1)')
      t.same(await adapter.enqueue([first!, second!, first!], { tx: database }),
        [{ id: first!.id }, { id: second!.id }, { id: first!.id, deduplicated: true }])
      database.exec('rollback')
      t.equal(await adapter.status!(first!.id), null)

      database.exec('begin')
      await adapter.enqueue([first!], { tx: database })
      database.exec('commit')
      t.match(await adapter.status!(first!.id), { state: 'pending' })
    })
  }
})

await t.test('what is refused by the database leaves the transaction as it was', async t => {
  const stage = new Stage(t)
  const adapter = await stage.start()
  const database = stage.connect()
  database.exec(`create table users (id integer primary key);
    create trigger refuse before insert on background_tasks_jobs when new.task = 'refused' begin select raise(abort, 'refused'); end`)
  const kept = makeJob()
  database.exec('begin; insert into users values (1)')
  await adapter.enqueue([kept], { tx: database })
  await t.rejects(adapter.enqueue([...makeJobs(2), makeJob({ task: 'refused' })], { tx: database }), { code: 'FST_ERR_BGT_QUEUE_UNAVAILABLE', ambiguous: false, cause: { message: 'refused' } })
  database.exec('commit')
  t.same(database.prepare('select id from background_tasks_jobs').all(), [{ id: kept.id }])
  t.same(database.prepare('select * from users').all(), [{ id: 1 }])
})

await t.test('what is no transaction of this file', async t => {
  const stage = new Stage(t)
  const adapter = await stage.start()
  const inMemory = await stage.start({ file: ':memory:' })
  const other = new Stage(t)
  const elsewhere = other.connect()
  elsewhere.exec('begin')
  const invalid = (message: RegExp): { code: string, message: RegExp } => ({ code: 'FST_ERR_BGT_INVALID_OPTIONS', message })
  for (const tx of [null, 'begin', { query () {} }]) {
    await t.rejects(adapter.enqueue([makeJob()], { tx }), invalid(/Invalid tx: Expected an opened SQLite database with a transaction begun, got/))
  }
  await t.rejects(adapter.enqueue([makeJob()], { tx: elsewhere }), invalid(/Expected a connection to ".*queue.db", got one to ".*queue.db"/))
  const memory = stage.connect(':memory:')
  memory.exec('begin')
  await t.rejects(adapter.enqueue([makeJob()], { tx: memory }), invalid(/got one to a database in memory/))
  await t.rejects(inMemory.enqueue([makeJob()], { tx: elsewhere }), invalid(/Expected the connection that the adapter was given, got one to ".*queue.db"/))
  await t.rejects(adapter.enqueue([makeJob()], { tx: stage.connect() }), invalid(/Expected a database with a transaction begun, got one without/))
  const closed = stage.connect()
  closed.exec('begin')
  await adapter.enqueue([makeJob()], { tx: closed })
  closed.close()
  await t.rejects(adapter.enqueue([makeJob()], { tx: closed }), Error)
})

await t.test('calls wait for the transaction of the application on their connection, and never join it', async t => {
  const stage = new Stage(t)
  const database = stage.connect()
  const adapter = await stage.start({ database })
  await adapter.work('mail', complete, { concurrency: 1 })
  const mine = makeJob()
  database.exec('begin')
  await adapter.enqueue([makeJob()], { tx: database })
  const enqueued = adapter.enqueue([mine])
  await turns(1)
  database.exec('rollback')
  t.same(await enqueued, [{ id: mine.id }])
  t.not(await adapter.status!(mine.id), null, 'it was not rolled back')
  t.same(stage.lines, [], 'waiting is nothing to log')
})
