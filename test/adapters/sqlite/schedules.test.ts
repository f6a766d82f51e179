import { Type } from '@sinclair/typebox'
import t from 'tap'
import { defineTask } from '../../../lib/index.ts'
import { keyedId } from '../../../lib/uuid.ts'
import { Connection } from '../../../lib/adapters/sqlite/connection.ts'
import { SqliteConsumer } from '../../../lib/adapters/sqlite/consumer.ts'
import { Leases } from '../../../lib/adapters/sqlite/leases.ts'
import { Pump } from '../../../lib/adapters/sqlite/pump.ts'
import { Sweeper } from '../../../lib/adapters/sqlite/retention.ts'
import { Schedules } from '../../../lib/adapters/sqlite/schedules.ts'
import { Suspects } from '../../../lib/adapters/sqlite/suspects.ts'
import { retentionDefaults } from '../../../lib/adapters/kit/retention.ts'
import { TroubleLog } from '../../../lib/adapters/kit/trouble-log.ts'
import type { ActiveJob, JobData, Schedule, Task } from '../../../types/index.ts'
import { makeApp } from '../../helpers/app.ts'
import { makeJob } from '../../helpers/job.ts'
import { complete, Stage, until, untilState } from '../../helpers/sqlite.ts'

const HOUR = 3_600_000

function hourly (given: Partial<Schedule> = {}): Schedule {
  const { retry, priority } = makeJob()
  return { name: 'report', cron: '0 * * * *', queue: 'mail', task: 'report', data: { payload: { of: 'the hour' }, version: 2 }, priority, retry, ...given }
}

/** The schedules of a process whose times the test tells. */
async function apart (stage: Stage): Promise<{ connection: Connection, schedules: Schedules }> {
  const connection = new Connection(stage.connect(), { owned: false, busyTimeout: 5_000 })
  const schedules = new Schedules(connection, new TroubleLog(stage.startOptions.log, 'sqlite'))
  await schedules.load()
  return { connection, schedules }
}

function due (stage: Stage): number | null {
  const [row] = stage.connect().prepare('select due from background_tasks_schedules').all() as { due: number | null }[]
  return row!.due
}

await t.test('the next time of a schedule', async t => {
  const stage = new Stage(t)
  const adapter = await stage.start()
  await adapter.schedule!(hourly())
  const first = due(stage)!
  t.equal(first % HOUR, 0)
  t.ok(first > Date.now() && first <= Date.now() + HOUR)
  await adapter.schedule!(hourly({ timezone: 'Asia/Kolkata' }))
  t.equal(due(stage)! % HOUR, HOUR / 2, 'in its timezone')
  await adapter.schedule!(hourly({ cron: '30 0 * * * *' }))
  t.equal(due(stage)! % HOUR, 30_000, 'seconds come first')
})

await t.test('times that were missed make one job', async t => {
  const stage = new Stage(t)
  const [one, two] = [await stage.start(), await stage.start()]
  await one.schedule!(hourly())
  const missed = Date.now() - 5 * HOUR
  stage.connect().exec(`update background_tasks_schedules set due = ${missed}`)
  await two.schedule!(hourly({ task: 'renamed' }))
  t.equal(due(stage), missed, 'a start of the application forgets no time')
  const ran: ActiveJob[] = []
  for (const adapter of [one, two]) {
    await adapter.work('mail', async job => {
      ran.push(job)
      return complete()
    }, { concurrency: 5 })
  }
  await until(() => due(stage)! > Date.now() && ran.length > 0)
  const marker = makeJob({ priority: 1 })
  await one.unschedule!('report')
  await one.enqueue([marker])
  await until(() => ran.some(({ id }) => id === marker.id))
  t.equal(ran.length, 2)
  const [{ id, task, attempt, data }] = ran as [ActiveJob]
  const { payload, version } = data as JobData
  t.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  t.match({ id, task, attempt, payload, version }, {
    id: keyedId('schedule', 'report', missed),
    task: 'renamed',
    attempt: 1,
    payload: { of: 'the hour' },
    version: 2
  })
})

await t.test('a schedule whose last time has come', async t => {
  const stage = new Stage(t)
  const adapter = await stage.start()
  await adapter.schedule!(hourly())
  // As one for a date of last year would be by now.
  stage.connect().exec("update background_tasks_schedules set cron = '2025-01-01T00:00:00', due = 1")
  await new Promise<void>((resolve, reject) => {
    adapter.work('mail', async () => {
      resolve()
      return complete()
    }, { concurrency: 1 }).catch(reject)
  })
  t.equal(due(stage), null)
})

await t.test('a schedule that this process cannot read is told once, and holds up nothing', async t => {
  const stage = new Stage(t)
  const adapter = await stage.start()
  for (const name of ['cron', 'zone', 'data', 'fine']) await adapter.schedule!(hourly({ name }))
  const past = Date.now() - 1
  stage.connect().exec(`update background_tasks_schedules set due = ${past};
    update background_tasks_schedules set cron = '0 0 15X * *' where name = 'cron';
    update background_tasks_schedules set timezone = 'Mars/Olympus' where name = 'zone';
    update background_tasks_schedules set data = '{"payload":' where name = 'data'`)
  const ran: string[] = []
  await adapter.work('mail', async ({ task }) => {
    ran.push(task)
    return complete()
  }, { concurrency: 1 })
  await until(() => ran.includes('report'))
  for (const each of [makeJob(), makeJob()]) {
    await adapter.enqueue([each])
    await untilState(adapter, each.id, 'completed')
  }
  t.strictSame(ran, ['report', 'welcome', 'welcome'])
  const left = stage.connect().prepare('select name from background_tasks_schedules where due = ?').all(past) as { name: string }[]
  t.strictSame(left.map(({ name }) => name).sort(), ['cron', 'data', 'zone'], 'they stay due, for workers that can')
  t.strictSame(stage.lines.map(({ msg }) => msg).sort(), ['cron', 'data', 'zone'].map(name =>
    `background task queue: the schedule "${name}" cannot be read here, and is left to other workers`))
})

await t.test('a schedule is read again after a minute', async t => {
  const stage = new Stage(t)
  const adapter = await stage.start()
  await adapter.schedule!(hourly())
  const { connection, schedules } = await apart(stage)
  let time = performance.now()
  t.capture(performance, 'now', () => time)
  const fire = (): void => connection.transaction(() => schedules.fire('["mail"]', Date.now()))
  connection.run("update background_tasks_schedules set due = 1, cron = 'never'")
  fire()
  t.equal(schedules.unreadable, '["report"]')
  connection.run("update background_tasks_schedules set cron = '0 * * * *'")
  time += 59_999
  fire()
  t.equal(due(stage), 1)
  time += 1
  fire()
  t.ok(due(stage)! > 1)
  t.equal(schedules.unreadable, '[]')
})

const zones: [string, string, string, string[]][] = [
  // The clock goes forward from 02:00 to 03:00, and back from 03:00 to 02:00.
  ['Europe/Berlin', '2027-03-27T12:00:00Z', '30 2 * * *', ['2027-03-28T01:00:00.000Z', '2027-03-29T00:30:00.000Z']],
  ['Europe/Berlin', '2027-10-30T12:00:00Z', '30 2 * * *', ['2027-10-31T00:30:00.000Z', '2027-11-01T01:30:00.000Z']],
  ['America/New_York', '2027-03-13T12:00:00Z', '30 2 * * *', ['2027-03-14T07:00:00.000Z', '2027-03-15T06:30:00.000Z']],
  ['America/New_York', '2027-11-06T12:00:00Z', '30 1 * * *', ['2027-11-07T05:30:00.000Z', '2027-11-08T06:30:00.000Z']]
]

for (const [timezone, from, cron, expected] of zones) {
  await t.test(`the night in which the clocks change, ${timezone}, from ${from}: once`, async t => {
    const stage = new Stage(t)
    const adapter = await stage.start()
    await adapter.schedule!(hourly({ cron, timezone }))
    const { connection, schedules } = await apart(stage)
    connection.run('update background_tasks_schedules set due = 0')
    const times: string[] = []
    for (let now = Date.parse(from); times.length < expected.length; now = due(stage)!) {
      connection.transaction(() => schedules.fire('["mail"]', now))
      times.push(new Date(due(stage)!).toISOString())
    }
    t.strictSame(times, expected)
  })
}

await t.test('what is no schedule', async t => {
  const adapter = await new Stage(t).start()
  const wrong: [Partial<Schedule>, RegExp][] = [
    [{ cron: 'daily' }, /Invalid schedule "report": .*'daily'/],
    [{ cron: '0 0 30 2 *' }, /the time of "0 0 30 2 \*" never comes/],
    [{ timezone: 'Mars/Olympus' }, /Mars\/Olympus/],
    [{ cron: '0 0 0 1 1 * 2030' }, /Invalid schedule/]
  ]
  for (const [given, message] of wrong) await t.rejects(adapter.schedule!(hourly(given)), { code: 'FST_ERR_BGT_INVALID_OPTIONS', message })
})

await t.test('without croner', async t => {
  const stage = new Stage(t)
  const producer = await stage.start()
  await producer.schedule!(hourly())
  const log = new TroubleLog(stage.startOptions.log, 'sqlite')
  const connection = new Connection(stage.connect(), { owned: false, busyTimeout: 5_000 })
  const schedules = new Schedules(connection, log, () => Promise.reject(new Error('croner is not installed')))
  const pump = new Pump(connection, new Leases(connection, 10_000, 10), new Suspects(connection, 10_000, 20), schedules, { pollInterval: 20, lease: 10_000 }, log)
  await t.rejects(schedules.schedule(hourly()), { message: 'croner is not installed' })
  const ran: string[] = []
  const sweeper = new Sweeper(connection, retentionDefaults, log)
  t.teardown(() => sweeper.stop())
  const consumer = new SqliteConsumer({ pump, sweeper }, 'mail', async ({ id }) => {
    ran.push(id)
    return complete()
  }, { concurrency: 1 })
  t.teardown(() => consumer.close())
  t.match(await stage.line(/there are schedules, and this worker cannot keep them/), { level: 50, err: { message: 'croner is not installed' } })
  for (const each of [makeJob(), makeJob()]) {
    await producer.enqueue([each])
    await until(() => ran.includes(each.id))
  }
  t.equal(stage.lines.length, 1, 'said once; other jobs run')
})

await t.test('a key never takes the place of a schedule\'s job, whatever is in it', async t => {
  const stage = new Stage(t)
  const ran: unknown[] = []
  const report: Task<unknown> = defineTask({ name: 'report', payload: Type.Any(), run (payload: unknown) { ran.push(payload) } })
  const app = await makeApp(t, { tasks: [report], adapter: stage.create() })
  await app.ready()
  await app.backgroundTasks.schedule(report, { cron: '0 * * * *', payload: 'of the schedule' })
  const missed = due(stage)! - HOUR
  stage.connect().exec(`update background_tasks_schedules set due = ${missed}`)
  const keys = [String(missed), [String(missed)], ['report', String(missed)], ['schedule', 'report', String(missed)]]
  for (const key of keys) {
    const { deduplicated } = await app.backgroundTasks.enqueue(report, key, { key })
    t.notOk(deduplicated)
  }
  await app.backgroundTasks.work()
  await until(() => ran.length > keys.length)
  t.strictSame(new Set(ran), new Set(['of the schedule', ...keys]))
})
