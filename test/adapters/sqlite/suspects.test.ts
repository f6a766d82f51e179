import t, { type Test } from 'tap'
import { Connection } from '../../../lib/adapters/sqlite/connection.ts'
import { Leases } from '../../../lib/adapters/sqlite/leases.ts'
import { Suspects } from '../../../lib/adapters/sqlite/suspects.ts'
import { makeJob } from '../../helpers/job.ts'
import { Stage } from '../../helpers/sqlite.ts'

const LEASE = 9_000
const POLL = 500
/** A third of a lease, a pause and a bit. */
const PATIENCE = LEASE / 3 + POLL + 100

/** A worker that has a job, and another process that watches it. Each tells the time itself. */
async function setUp (t: Test): Promise<{ renew (now: number): void, expire (now: number, time: number): number, suspects: Suspects, state (): string }> {
  const stage = new Stage(t)
  const adapter = await stage.start()
  await adapter.enqueue([makeJob()])
  const connection = new Connection(stage.connect(), { owned: false, busyTimeout: 5_000 })
  const leases = new Leases(connection, LEASE, 10)
  const [held] = connection.transaction(() => leases.claim('mail', 1, 0))
  const suspects = new Suspects(connection, LEASE, POLL)
  return {
    suspects,
    renew: now => connection.transaction(() => leases.renew([held!], now)),
    expire: (now, time) => connection.transaction(() => suspects.expire(now, time)),
    state: () => connection.all<{ state: string }>('select state from background_tasks_jobs')[0]!.state
  }
}

/** Looks as often as a pump does, from one time to the other, by a clock that is `ahead`. Returns how many were taken. */
function watch ({ expire }: Awaited<ReturnType<typeof setUp>>, from: number, to: number, ahead = 0): number {
  let taken = 0
  for (let time = from; time <= to; time += POLL) taken += expire(time + ahead, time)
  return taken
}

await t.test('a worker that has died loses its job once its lease is over', async t => {
  const two = await setUp(t)
  t.equal(watch(two, 0, LEASE), 0)
  t.equal(watch(two, LEASE + POLL, LEASE + 2 * POLL + 100), 1)
  t.equal(two.state(), 'pending')
})

await t.test('a worker that renews late, as the store stood still, keeps it', async t => {
  const two = await setUp(t)
  const { suspects, renew } = two
  // Nobody can write, longer than a lease, and the other process is the first that can again.
  suspects.forget()
  t.equal(watch(two, 2 * LEASE, 2 * LEASE + LEASE / 3), 0)
  renew(2 * LEASE + LEASE / 3)
  t.equal(watch(two, 2 * LEASE + LEASE / 3 + POLL, 3 * LEASE), 0)
  t.equal(two.state(), 'running')
})

await t.test('while nothing can be written, the time does not count', async t => {
  const two = await setUp(t)
  watch(two, LEASE, LEASE + 2 * POLL)
  two.suspects.forget()
  t.equal(watch(two, LEASE + 3 * POLL, LEASE + PATIENCE), 0)
  t.equal(watch(two, LEASE + PATIENCE, LEASE + 2 * PATIENCE), 1)
})

await t.test('nor does the time in which this process stood still', async t => {
  const two = await setUp(t)
  t.equal(two.expire(LEASE, LEASE), 0)
  t.equal(two.expire(3 * LEASE, 3 * LEASE), 0, 'it has seen nothing in between')
  t.equal(watch(two, 3 * LEASE + POLL, 3 * LEASE + PATIENCE + POLL), 1)
})

for (const [what, ahead] of [['15 s ahead', 15_000], ['an hour ahead', 3_600_000], ['an hour behind', -3_600_000]] as const) {
  await t.test(`by a clock that is ${what}`, async t => {
    const two = await setUp(t)
    for (let time = 0; time < 3 * LEASE; time += LEASE / 3) {
      two.renew(time)
      t.equal(watch(two, time, time + LEASE / 3 - POLL, ahead), 0, 'a living worker keeps its job')
    }
    t.equal(watch(two, 3 * LEASE, 5 * LEASE, ahead), 1, 'a dead one does not')
  })
}

await t.test('a look is due once a pause is over', async t => {
  const { suspects, expire } = await setUp(t)
  t.equal(suspects.isDue(0), true)
  expire(0, 0)
  t.equal(suspects.isDue(POLL - 1), false)
  t.equal(suspects.isDue(POLL), true)
})
