import t from 'tap'
import { Connection } from '../../../lib/adapters/sqlite/connection.ts'
import { migrate } from '../../../lib/adapters/sqlite/schema.ts'
import { AWAKE, CLAIM, DELETE, EXPIRE, HAS_PENDING, PEEK, SUSPECTS } from '../../../lib/adapters/sqlite/statements.ts'
import { makeJob } from '../../helpers/job.ts'
import { Stage } from '../../helpers/sqlite.ts'
import { turns } from '../../helpers/timers.ts'

function connection (stage: Stage): Connection {
  return new Connection(stage.connect(), { owned: false, busyTimeout: 5_000 })
}

await t.test('a database is brought from any version to the latest', async t => {
  const stage = new Stage(t)
  const migrations = ['create table steps (step text)', "insert into steps values ('two')", "insert into steps values ('three')"]
  await migrate(connection(stage), migrations.slice(0, 1))
  await migrate(connection(stage), migrations)
  await migrate(connection(stage), migrations)
  const { database } = connection(stage)
  t.same(database.prepare('select step from steps').all(), [{ step: 'two' }, { step: 'three' }])
  t.same(database.prepare('select version from background_tasks_schema').all(), [{ version: 3 }])
})

await t.test('a migration that fails changes nothing', async t => {
  const stage = new Stage(t)
  const migrations = ['create table steps (step text)', 'insert into steps values (1); insert into nowhere values (1)']
  await t.rejects(migrate(connection(stage), migrations), { code: 'FST_ERR_BGT_QUEUE_UNAVAILABLE', cause: { message: /no such table/ } })
  t.same(stage.connect().prepare('select name from sqlite_schema').all(), [])
})

await t.test('processes that start at once', async t => {
  const stage = new Stage(t)
  const other = stage.connect()
  other.exec('begin immediate')
  const starting = Promise.all([stage.start(), stage.start(), stage.start({ database: stage.connect() })])
  await turns(1)
  other.exec('commit')
  const adapters = await starting
  for (const adapter of adapters) t.same(await adapter.enqueue([makeJob({ id: 'one' })]), [{ id: 'one', ...(adapter !== adapters[0] && { deduplicated: true }) }])
})

await t.test('a database that another process has brought to the latest version meanwhile', async t => {
  const stage = new Stage(t)
  const [slow, fast] = [connection(stage), connection(stage)]
  const migrations = ['create table steps (step text)']
  const write = slow.write.bind(slow)
  t.intercept(slow, 'write', {
    value: async (work: () => unknown) => {
      await migrate(fast, migrations)
      return write(work)
    }
  })
  await migrate(slow, migrations)
  t.same(stage.connect().prepare('select version from background_tasks_schema').all(), [{ version: 1 }])
})

await t.test('a newer schema is left alone', async t => {
  const stage = new Stage(t)
  await (await stage.start()).close()
  stage.connect().exec('update background_tasks_schema set version = 7')
  await t.rejects(stage.start(), {
    code: 'FST_ERR_BGT_NEWER_SCHEMA',
    message: /The tables of the adapter "sqlite" have schema version 7, and this release knows versions up to \d+: update fastify-background-tasks/
  })
  t.same(stage.connect().prepare('select version from background_tasks_schema').all(), [{ version: 7 }])
})

await t.test('all names have the prefix', async t => {
  const stage = new Stage(t)
  await stage.start()
  const names = (stage.connect().prepare("select name from sqlite_schema where name not like 'sqlite_%'").all() as { name: string }[]).map(({ name }) => name)
  t.ok(names.length > 5)
  t.same(names.filter(name => !name.startsWith('background_tasks_')), [])
})

await t.test('however many jobs are stored, what a worker does again and again reads an index', async t => {
  const stage = new Stage(t)
  await stage.start()
  const database = stage.connect()
  const plan = (sql: string): string => {
    const values = Array.from(sql.matchAll(/\?/g), () => 1)
    return (database.prepare(`explain query plan ${sql}`).all(...values) as { detail: string }[]).map(({ detail }) => detail).join('\n')
  }
  const expected: Record<string, [string, RegExp[]]> = {
    claim: [CLAIM, [/SEARCH background_tasks_jobs USING (COVERING )?INDEX background_tasks_pending \(queue=\?\)/]],
    'has pending': [HAS_PENDING, [/SEARCH background_tasks_jobs USING COVERING INDEX background_tasks_pending \(queue=\?\)/]],
    awake: [AWAKE, [/SEARCH background_tasks_jobs USING (COVERING )?INDEX background_tasks_waiting \(due<\?\)/]],
    suspects: [SUSPECTS, [/USING (COVERING )?INDEX background_tasks_running \(lease<\?\)/, /USING (COVERING )?INDEX background_tasks_running \(lease>\?\)/]],
    expire: [EXPIRE, [/SEARCH background_tasks_jobs USING INTEGER PRIMARY KEY/]],
    peek: [PEEK, [/USING INDEX background_tasks_waiting/, /USING COVERING INDEX background_tasks_running/]],
    delete: [DELETE, [/SEARCH background_tasks_jobs USING COVERING INDEX background_tasks_ended \(state=\? AND ended_at<\?\)/]]
  }
  for (const [name, [sql, patterns]] of Object.entries(expected)) {
    const found = plan(sql)
    for (const pattern of patterns) t.match(found, pattern, name)
    t.notMatch(found, /TEMP B-TREE|SCAN background_tasks_jobs(?! USING)/, `${name} sorts nothing and scans no table`)
  }
})
