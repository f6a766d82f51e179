import { mock } from 'node:test'
import t, { type Test } from 'tap'
import type { TakenJob } from '../../lib/queue/taken-job.ts'
import { UnknownJobs } from '../../lib/queue/unknown-jobs.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE

interface Clock {
  tick (ms: number): void
  step (ms: number): void
}

function clock (t: Test): Clock {
  mock.timers.enable({ apis: ['Date'], now: 10 * HOUR })
  let time = 0
  mock.method(performance, 'now', () => time)
  t.teardown(() => mock.reset())
  t.teardown(() => mock.timers.reset())
  return {
    tick (ms) {
      time += ms
      mock.timers.tick(ms)
    },
    /** The time of day alone. */
    step: ms => mock.timers.setTime(Date.now() + ms)
  }
}

function jobOf (id: string, due: number, task = 'news', version = 1): TakenJob {
  return { id, task, data: { payload: undefined, version, enqueuedAt: due - 5, delay: 5 } } as TakenJob
}

await t.test('a job waits half as long as this worker has seen it, and is looked at soon after its grace', t => {
  const timers = clock(t)
  const unknown = new UnknownJobs({ delay: 15_000, grace: HOUR })
  const job = jobOf('a', Date.now())
  const delays: number[] = []
  for (let age = unknown.ageOf(job); age <= HOUR; age = unknown.ageOf(job)) {
    const delay = unknown.delayOf(age)
    delays.push(delay)
    timers.tick(Math.ceil(delay))
  }
  t.match(delays.slice(0, 4), [15_000, 15_000, 15_000, 22_500])
  t.equal(Math.max(...delays), MINUTE)
  t.ok(delays.length < 75, 'in place of 240')
  t.ok(unknown.ageOf(job) <= HOUR + 15_001)
  t.equal(new UnknownJobs({ delay: HOUR, grace: 2 * HOUR }).delayOf(0), HOUR)
  t.end()
})

await t.test('a job is as old as this worker has seen it, whatever its own time and that of the day say', t => {
  const timers = clock(t)
  const unknown = new UnknownJobs({ delay: 15_000, grace: HOUR })
  for (const due of [-100 * HOUR, 0, 100 * HOUR]) {
    const job = jobOf('a', Date.now() + due)
    t.equal(unknown.ageOf(job), 0)
    timers.tick(MINUTE)
    timers.step(2 * HOUR)
    t.equal(unknown.ageOf(job), MINUTE)
    unknown.forget(job)
  }
  t.end()
})

await t.test('ten thousand are remembered, until they have failed, or can be here no more', t => {
  const timers = clock(t)
  const unknown = new UnknownJobs({ delay: 15_000, grace: HOUR })
  const due = Date.now()
  for (let n = 0; n <= 10_000; n++) unknown.ageOf(jobOf(String(n), due))
  timers.tick(MINUTE)
  t.equal(unknown.ageOf(jobOf('0', due)), MINUTE)
  t.equal(unknown.ageOf(jobOf('10000', due + MINUTE)), 0, 'there is no room for it, and it is due just now')
  t.equal(unknown.ageOf(jobOf('10000', due + HOUR)), 0, 'it says that it is not due yet')
  t.equal(unknown.ageOf(jobOf('10000', due + MINUTE / 2)), MINUTE / 2)
  t.equal(unknown.ageOf(jobOf('10000', due - HOUR)), MINUTE, 'no longer than this worker is here')
  unknown.forget(jobOf('0', due))
  t.equal(unknown.ageOf(jobOf('10000', due)), 0, 'now there is')
  timers.tick(2 * HOUR)
  t.equal(unknown.ageOf(jobOf('10000', due)), 2 * HOUR)
  t.equal(unknown.ageOf(jobOf('new', due)), 0, 'one that has not come again in all the time that it had makes room')
  timers.tick(1)
  t.equal(unknown.ageOf(jobOf('new', due)), 1)
  t.end()
})

await t.test('of a name and version is told once in a minute, with a count, and of a hundred names', t => {
  const timers = clock(t)
  const unknown = new UnknownJobs({ delay: 15_000, grace: HOUR })
  const count = (task: string, version = 1): number => unknown.countOf(jobOf('a', 0, task, version))
  t.strictSame([count('a'), count('a'), count('a'), count('a', 2), count('b')], [1, 0, 0, 1, 1])
  timers.tick(MINUTE)
  t.strictSame([count('a'), count('a'), count('b')], [3, 0, 1])
  const told = Array.from({ length: 200 }, (_, n) => count(`name ${n}`))
  t.equal(told.reduce((sum, each) => sum + each), 98, 'one that was not told of for a minute makes room')
  timers.tick(MINUTE)
  t.equal(count('another'), 1)
  t.end()
})
