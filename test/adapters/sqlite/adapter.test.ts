import { AsyncLocalStorage } from 'node:async_hooks'
import { chmodSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { sqlite, type SqliteOptions } from '../../../lib/adapters/sqlite/index.ts'
import { isAmbiguous, isBusy, openFile } from '../../../lib/adapters/sqlite/driver.ts'
import { latch } from '../../helpers/latch.ts'
import { makeJob, makeJobs } from '../../helpers/job.ts'
import { complete, Stage, untilState } from '../../helpers/sqlite.ts'
import { turns } from '../../helpers/timers.ts'

await t.test('options', t => {
  const stage = new Stage(t)
  const { file } = stage
  const wrong: [unknown, RegExp][] = [
    [{}, /Invalid options: Expected either "file" or "database", got neither/],
    [{ file, database: stage.connect() }, /Expected either "file" or "database", got both/],
    [{ file: '' }, /options\/file: .*got ''/],
    [{ database: 'app.db' }, /options\/database: Expected an opened database of node:sqlite, better-sqlite3 or libsql, got a string/],
    [{ database: {} }, /options\/database/],
    [{ file, pollInterval: 9 }, /options\/pollInterval: .*10, got 9/],
    [{ file, lease: 99 }, /options\/lease: .*100, got 99/],
    [{ file, maxStalled: 0 }, /options\/maxStalled/],
    [{ file, busyTimeout: -1 }, /options\/busyTimeout/],
    [{ file, retention: { completed: -1 } }, /options\/retention\/completed/],
    [{ file, pool: 5 }, /options\/pool: Unexpected property/]
  ]
  for (const [options, message] of wrong) {
    t.throws(() => sqlite(options as SqliteOptions), { code: 'FST_ERR_BGT_INVALID_OPTIONS', message }, message.source)
  }
  t.end()
})

await t.test('a file is opened by the first driver that is installed', async t => {
  const { file } = new Stage(t)
  // Node says so itself; of a missing package, tap's loader says it without the code.
  const missing = ['node:no-such-driver', 'default'] as const
  const database = await openFile(file, [missing, ['libsql', 'default']])
  t.same(database.prepare('select 1 as one').all(), [{ one: 1 }])
  database.close()
  await t.rejects(openFile(file, [missing]),
    { code: 'FST_ERR_BGT_MISSING_PEER', message: 'The adapter "sqlite" needs the package "libsql": npm install libsql' })
  await t.rejects(openFile(file, [['data:text/javascript,throw new Error("broken")', 'default']]), { message: 'broken' })
})

await t.test('errors, as each driver throws them', t => {
  const error = (code: string, errcode?: number): Error => Object.assign(new Error('of SQLite'), { code, errcode })
  const [busy, snapshot, notWritten] = [error('ERR_SQLITE_ERROR', 5), error('ERR_SQLITE_ERROR', 517), error('ERR_SQLITE_ERROR', 778)]
  for (const each of [busy, snapshot, error('SQLITE_BUSY'), error('SQLITE_BUSY_SNAPSHOT'), error('SQLITE_LOCKED')]) t.equal(isBusy(each), true)
  for (const each of [notWritten, error('ERR_SQLITE_ERROR', 13), error('SQLITE_FULL'), new TypeError('closed')]) t.equal(isBusy(each), false)
  for (const each of [notWritten, error('SQLITE_IOERR_FSYNC'), error('SQLITE_IOERR')]) t.equal(isAmbiguous(each), true)
  for (const each of [busy, error('ERR_SQLITE_ERROR', 13), error('SQLITE_FULL'), new TypeError('closed')]) t.equal(isAmbiguous(each), false)
  t.end()
})

await t.test('what cannot be opened', async t => {
  const stage = new Stage(t)
  await t.rejects(stage.start({ file: '/no/such/folder/queue.db' }), { code: 'FST_ERR_BGT_INVALID_OPTIONS', message: /options\/file: Expected a file that .* can open, got '\/no\/such\/folder\/queue.db'/ })
  await t.rejects(stage.start({ file: import.meta.filename }), { code: 'FST_ERR_BGT_QUEUE_UNAVAILABLE', message: /SQLITE_NOTADB|not a database/ })
})

await t.test('before start and after close', async t => {
  const stage = new Stage(t)
  const adapter = stage.create()
  t.equal(adapter.native, undefined)
  await t.rejects(adapter.enqueue([makeJob()]), { code: 'FST_ERR_BGT_QUEUE_UNAVAILABLE', ambiguous: false, message: /it was not started/ })
  t.match(await adapter.health(), { ok: false, error: /it was not started/ })
  await adapter.start(stage.startOptions)
  t.type(adapter.native?.exec, 'function')
  const consumer = await adapter.work('mail', complete, { concurrency: 1 })
  const closing = Promise.all([adapter.close(), adapter.close()])
  await t.rejects(adapter.work('mail', complete, { concurrency: 1 }), { message: /it is closing/ })
  await closing
  await adapter.close()
  await consumer.close()
  await t.rejects(adapter.status!(makeJob().id), { message: /it is closed/ })
  t.same(stage.lines, [])
})

await t.test('closed while it starts', async t => {
  const stage = new Stage(t)
  const adapter = stage.create()
  const starting = adapter.start(stage.startOptions)
  await adapter.close()
  await starting
  t.equal(adapter.native, undefined)
  await t.rejects(adapter.status!(makeJob().id), { message: /it is closed/ })
})

await t.test('durability', async t => {
  await t.test('a file is used with WAL and synchronous FULL', async t => {
    const adapter = await new Stage(t).start()
    t.same(adapter.native!.prepare('pragma journal_mode').all(), [{ journal_mode: 'wal' }])
    t.same(adapter.native!.prepare('pragma synchronous').all(), [{ synchronous: 2 }])
    t.equal(adapter.capabilities.durable, true)
    t.match(await adapter.health(), { ok: true, warnings: [] })
  })

  await t.test('the settings of a database that was given are set back', async t => {
    const stage = new Stage(t)
    const database = stage.connect()
    database.exec('pragma busy_timeout = 4000; pragma synchronous = normal')
    const adapter = await stage.start({ database })
    t.equal(adapter.capabilities.durable, true)
    database.exec('create table seen (synchronous integer, timeout integer)')
    // SQLite itself says what held when a job was written.
    database.exec(`create trigger look after insert on background_tasks_jobs begin
      insert into seen select synchronous, timeout from pragma_synchronous, pragma_busy_timeout;
    end`)
    await adapter.enqueue([makeJob()])
    t.same(database.prepare('select * from seen').all(), [{ synchronous: 2, timeout: 0 }])
    t.same(database.prepare('pragma busy_timeout').all(), [{ timeout: 4000 }])
    t.same(database.prepare('pragma synchronous').all(), [{ synchronous: 1 }])
    t.match(await adapter.health(), { ok: true, warnings: [/may be read by other users.*chmod 600/, /synchronous = NORMAL or OFF.*"tx".*set it to FULL/] })
    await adapter.close()
    t.same(database.prepare('select 1 as one').all(), [{ one: 1 }], 'and it stays open')
  })

  await t.test('in memory', async t => {
    const stage = new Stage(t)
    const adapter = await stage.start({ file: ':memory:' })
    t.equal(adapter.capabilities.durable, false)
    t.equal(stage.create({ database: stage.connect(':memory:') }).capabilities.durable, false)
    t.match(await adapter.health(), { ok: true, warnings: [/in memory.*use a file/] })
    await adapter.enqueue([makeJob({ id: 'one' })])
    t.equal((await adapter.status!('one'))?.state, 'pending')
  })

  await t.test('a journal that is not WAL is warned of', async t => {
    const adapter = await new Stage(t).start()
    adapter.native!.exec('pragma journal_mode = delete')
    t.match(await adapter.health(), { warnings: [/journal_mode is "delete".*WAL/] })
  })
})

await t.test('the file', async t => {
  const mode = (path: string): number => statSync(path).mode & 0o777

  await t.test('is made for its owner only, and so are those beside it', async t => {
    const stage = new Stage(t)
    const adapter = await stage.start()
    await adapter.enqueue([makeJob()])
    for (const end of ['', '-wal', '-shm']) t.equal(mode(stage.file + end), 0o600, end)
    t.match(await adapter.health(), { ok: true, warnings: [] })
    chmodSync(stage.file, 0o640)
    t.match(await adapter.health(), { ok: true, warnings: [/may be read by other users.*chmod 600/] })
  })

  for (const [what, spoil] of Object.entries({
    deleted: (file: string) => rmSync(file),
    replaced: (file: string) => { renameSync(file, `${file}.old`); writeFileSync(file, '') }
  })) {
    await t.test(`is missed where it was ${what}`, async t => {
      const stage = new Stage(t)
      const adapters = [await stage.start(), await stage.start({ database: stage.connect() })]
      for (const adapter of adapters) await adapter.enqueue([makeJob()])
      spoil(stage.file)
      for (const adapter of adapters) {
        await t.rejects(adapter.enqueue([makeJob()]), { code: 'FST_ERR_BGT_QUEUE_UNAVAILABLE', ambiguous: false, message: /deleted or replaced/ })
        await t.rejects(adapter.enqueue(makeJobs(2)), { ambiguous: false, message: /deleted or replaced/ })
        t.match(await adapter.health(), { ok: false, error: /deleted or replaced/ })
      }
      await adapters[0]!.work('mail', complete, { concurrency: 1 })
      t.match(await stage.line(/no job can be taken and no outcome recorded/), { err: { message: /deleted or replaced/ } })
    })
  }
})

await t.test('many jobs at once leave turns of the event loop to others', async t => {
  const adapter = await new Stage(t).start()
  let turns = 0
  const count = (): void => {
    turns++
    counting = setImmediate(count)
  }
  let counting = setImmediate(count)
  await adapter.enqueue(makeJobs(5_000))
  clearImmediate(counting)
  t.ok(turns >= 10, `${turns} turns for ten writes`)
})

await t.test('another process that writes holds up neither the event loop nor, once it has ended, a call', async t => {
  const stage = new Stage(t)
  for (const options of [{}, { database: stage.connect() }]) {
    options.database?.exec('pragma busy_timeout = 60000')
    const adapter = await stage.start(options)
    const other = stage.connect()
    other.exec('begin immediate')
    let stored = false
    const enqueued = adapter.enqueue([makeJob()]).then(receipts => {
      stored = true
      return receipts
    })
    // Turns of the event loop that would not come if SQLite waited for the lock.
    await turns(10)
    t.equal(stored, false)
    other.exec('commit')
    t.equal((await enqueued).length, 1)
  }
})

await t.test('a lock that stays', async t => {
  const stage = new Stage(t)
  const adapter = await stage.start({ busyTimeout: 50 })
  const unavailable = { code: 'FST_ERR_BGT_QUEUE_UNAVAILABLE', statusCode: 503, ambiguous: false, message: /SQLITE_BUSY|database is locked/ }
  const other = stage.connect()
  other.exec('begin immediate')
  await t.rejects(adapter.enqueue([makeJob()]), unavailable, 'busyTimeout ends it')
  t.match(await adapter.health(), { ok: false, error: /SQLITE_BUSY|database is locked/ })
  const patient = await stage.start({ busyTimeout: 60_000 }).catch((error: unknown) => error)
  t.match(patient, { name: 'sqlite' }, 'a start that has nothing to write needs no lock')
  const controller = new AbortController()
  const waiting = (patient as typeof adapter).enqueue([makeJob()], { signal: controller.signal })
  await turns(1)
  controller.abort()
  await t.rejects(waiting, unavailable, 'the signal ends it')
  await t.rejects((patient as typeof adapter).enqueue([makeJob()], { signal: AbortSignal.abort() }), unavailable, 'one that has aborted before waits for nothing')
})

await t.test('a batch is stored in transactions that stay small', async t => {
  const stage = new Stage(t)
  const adapter = await stage.start()
  const other = stage.connect()
  other.exec(`create table sizes (jobs integer);
    create trigger refuse before insert on background_tasks_jobs when new.task = 'refused' begin select raise(abort, 'refused'); end`)
  const large = { payload: 'x'.repeat(400_000), version: 1, enqueuedAt: 0 }
  const batch = makeJobs(5, { data: large })
  t.same(await adapter.enqueue(batch), batch.map(({ id }) => ({ id })))
  const [kept, refused] = [makeJobs(2, { data: large }), makeJob({ task: 'refused', data: large })]
  await t.rejects(adapter.enqueue([...kept, refused]), { code: 'FST_ERR_BGT_QUEUE_UNAVAILABLE', ambiguous: true }, 'what came before is stored')
  t.equal((await adapter.status!(kept[0]!.id))?.state, 'pending')
  const small = makeJobs(501)
  await t.rejects(adapter.enqueue([...makeJobs(3), makeJob({ task: 'refused' })]), { code: 'FST_ERR_BGT_QUEUE_UNAVAILABLE', ambiguous: false })
  t.equal((await adapter.enqueue(small)).length, 501)
  t.same(await adapter.enqueue([]), [])
})

await t.test('an error for which SQLite itself rolls back', async t => {
  const stage = new Stage(t)
  const adapter = await stage.start()
  stage.connect().exec("create trigger refuse before insert on background_tasks_jobs when new.task = 'refused' begin select raise(rollback, 'refused'); end")
  const [first, second] = makeJobs(2)
  await t.rejects(adapter.enqueue([first!, makeJob({ task: 'refused' })]), { code: 'FST_ERR_BGT_QUEUE_UNAVAILABLE', ambiguous: false, cause: { message: /refused/ } })
  t.same(await adapter.enqueue([second!]), [{ id: second!.id }])
  t.equal(await adapter.status!(first!.id), null)
})

await t.test('a delay that has passed while nobody works', async t => {
  const adapter = await new Stage(t).start()
  const [soon, later] = [makeJob({ delay: 50 }), makeJob({ delay: 600_000 })]
  await adapter.enqueue([soon, later])
  await untilState(adapter, soon.id, 'pending')
  t.equal((await adapter.status!(later.id))?.state, 'scheduled')
})

await t.test('an id is stored once, in one batch too', async t => {
  const adapter = await new Stage(t).start()
  const [first, second] = makeJobs(2)
  t.same(await adapter.enqueue([first!, second!, first!]), [{ id: first!.id }, { id: second!.id }, { id: first!.id, deduplicated: true }])
})

await t.test('jobs do not run in the async context of the request that enqueued', async t => {
  const adapter = await new Stage(t).start()
  const storage = new AsyncLocalStorage<string>()
  const seen = latch<string | undefined>()
  await adapter.work('mail', async () => {
    seen.open(storage.getStore())
    return complete()
  }, { concurrency: 1 })
  await storage.run('of the request', () => adapter.enqueue([makeJob()]))
  t.equal(await seen.opened, undefined)
})
