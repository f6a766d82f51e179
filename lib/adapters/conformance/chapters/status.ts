import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JobInfo } from '../../../../types/index.ts'
import { checks } from '../check.ts'
import type { ConformanceOptions } from '../options.ts'
import { completed, failed, Mishap, postponed, retrying } from '../stage/verdict.ts'

/** ms that the clock of the engine may differ from that of this process. */
const SKEW = 60_000

export function status (options: ConformanceOptions): void {
  const check = checks(options)

  check('knows nothing of an id that was never stored', ['status'], async stage => {
    assert.equal(await stage.status(crypto.randomUUID()), null)
  })

  check('tells pending, running and completed, to every adapter', ['status'], async stage => {
    const other = await stage.start()
    const [job, behind] = [stage.job(), stage.job()]
    const before = Date.now()
    await stage.enqueue([job, behind])
    const pending = await stage.state(job.id, 'pending', other)
    const { id, task, queue, attempts, enqueuedAt } = pending
    assert.deepEqual({ id, task, queue, attempts }, { id: job.id, task: job.task, queue: stage.queue, attempts: 0 })
    assert.ok(Math.abs(enqueuedAt - before) < SKEW, 'enqueuedAt: ms since 1970')
    assert.equal(pending.endedAt, undefined)

    const worker = await stage.work()
    const { end } = await worker.next()
    const running = await stage.state(job.id, 'running', other)
    assert.equal(running.attempts, 1)
    assert.ok(running.startedAt! >= running.enqueuedAt - SKEW, 'startedAt: ms since 1970')
    assert.equal(running.endedAt, undefined)
    assert.equal((await stage.status(behind.id, other))?.state, 'pending')

    end(completed())
    const ended = await stage.state(job.id, 'completed', other)
    assert.equal(ended.attempts, 1)
    assert.equal(ended.error, undefined)
    assert.ok(ended.endedAt! >= ended.startedAt!, 'endedAt: ms since 1970, not before startedAt')
  })

  check('tells the owner of a job, where it has one', ['status'], async stage => {
    const data = { payload: undefined, version: 1, enqueuedAt: Date.now() }
    const [owned, other] = [stage.job({ data: { ...data, owner: 'user "1"' } }), stage.job({ data })]
    await stage.enqueue([owned, other])
    assert.equal((await stage.status(owned.id))!.owner, 'user "1"')
    assert.ok(!('owner' in (await stage.status(other.id))!))
    for (const { end } of await (await stage.work(stage.adapter, { concurrency: 2 })).take(2)) end(completed())
    assert.equal((await stage.state(owned.id, 'completed')).owner, 'user "1"')
  })

  check('tells scheduled, and then pending', ['status', 'delay'], async stage => {
    // A delay that the test does not outlast, nor a timer the suite for long.
    const [far, near] = [stage.job({ delay: 2 * stage.timeout }), stage.job({ delay: 300 })]
    await stage.enqueue([far, near])
    assert.equal((await stage.status(far.id))?.state, 'scheduled')
    await stage.work()
    await stage.state(near.id, 'running')
  })

  check('tells retrying with its error, then attempts begun', ['status', 'retry'], async stage => {
    const [waiting, job] = [stage.job(), stage.job()]
    const worker = await stage.work()
    await stage.enqueue([waiting])
    ;(await worker.next()).end(retrying(2 * stage.timeout, 'first'))
    const info = await stage.state(waiting.id, 'retrying')
    assert.equal(info.attempts, 1)
    assertError(info, 'first')

    await stage.enqueue([job])
    ;(await worker.next()).end(retrying(0, 'first'))
    const { end } = await worker.next()
    assert.equal((await stage.state(job.id, 'running')).attempts, 2)
    end(failed('second'))
    const ended = await stage.state(job.id, 'failed')
    assert.equal(ended.attempts, 2)
    assertError(ended, 'second')
  })

  check('tells no error of an earlier attempt once the job has completed', ['status', 'retry'], async stage => {
    const job = stage.job()
    const script = [retrying(0, 'first'), retrying(0, 'second'), completed()]
    await stage.work(stage.adapter, { decide: () => script.shift()! })
    await stage.enqueue([job])
    const info = await stage.state(job.id, 'completed')
    assert.equal(info.attempts, 3)
    assert.equal(info.error, undefined)
  })

  check('does not count an attempt that was postponed', ['status', 'delay'], async stage => {
    const job = stage.job()
    const script = [postponed(0), postponed(0), completed()]
    await stage.work(stage.adapter, { decide: () => script.shift()! })
    await stage.enqueue([job])
    assert.equal((await stage.state(job.id, 'completed')).attempts, 1)
  })

  check('tells failed with the name, message and code of the error, and no more', ['status'], async stage => {
    const secret = Object.assign(new Mishap('what happened'), { password: 'hunter2', cause: new Error('inner') })
    const job = stage.job()
    await stage.work(stage.adapter, { decide: () => ({ state: 'failed', error: secret }) })
    await stage.enqueue([job])
    const info = await stage.state(job.id, 'failed')
    assertError(info, 'what happened')
    assert.ok(info.endedAt! >= info.startedAt!)
    assert.equal(info.result, undefined)
  })

  check('describes an error without code', ['status'], async stage => {
    const job = stage.job()
    const message = 'no "code", but \u0000 and 你好'
    await stage.work(stage.adapter, { decide: () => ({ state: 'failed', error: new TypeError(message) }) })
    await stage.enqueue([job])
    assert.deepEqual((await stage.state(job.id, 'failed')).error, { name: 'TypeError', message })
  })

  check('keeps results of every kind', ['status', 'result'], async stage => {
    const deep = [{ list: [1, 'two', null] }]
    const texts = ['\u0000', 'ü😀', '\ud800', '\udc00']
    const results = [{ deep }, [], texts, 'text', '', 0, 1.5, true, false, null, undefined]
    const jobs = results.map(() => stage.job())
    const byId = new Map(jobs.map(({ id }, index) => [id, results[index]]))
    await stage.work(stage.adapter, { concurrency: 3, decide: ({ id }) => completed(byId.get(id)) })
    await stage.enqueue(jobs)
    for (const { id } of jobs) assert.deepEqual((await stage.state(id, 'completed')).result, byId.get(id))
  })

  check('keeps no result', ['status'], async stage => {
    if (stage.adapter.capabilities.result) return
    const job = stage.job()
    await stage.work(stage.adapter, { decide: () => completed('something') })
    await stage.enqueue([job])
    assert.equal((await stage.state(job.id, 'completed')).result, undefined)
  })

  check('tells the latest progress while the job runs', ['status'], async stage => {
    const other = await stage.start()
    const job = stage.job()
    await stage.enqueue([job])
    const { job: { progress } } = await (await stage.work()).next()
    assert.equal((await stage.status(job.id, other))?.progress, undefined)
    for (const value of [{ done: 1, of: [2] }, 50, 'ü\u0000\udc00', null, 0, false]) {
      await stage.soon(progress(value), 'progress')
      assert.deepEqual((await stage.status(job.id, other))?.progress, value)
    }
  })

  check('keeps the progress of one job from another', ['status'], async stage => {
    const jobs = stage.jobs(3)
    await stage.enqueue(jobs)
    const deliveries = await (await stage.work(stage.adapter, { concurrency: 3 })).take(3)
    await stage.soon(Promise.all(deliveries.map(async ({ job: { id, progress } }) => progress({ id }))), 'progress')
    for (const { id } of jobs) assert.deepEqual((await stage.status(id))?.progress, { id })
  })

  if (options.retention === false) {
    void test('what it forgets', { skip: 'the adapter takes no retention' })
    return
  }
  const { timeout = 10_000 } = options
  // Long enough for the ends to be seen first.
  const retention = Math.min(3_000, timeout / 3)

  const needs = ['status', 'dedupe'] as const
  check('forgets jobs that have ended, and their ids, once their retention is over', needs, async stage => {
    const adapter = await stage.start({ retention: { completed: retention, failed: retention } })
    const [good, bad] = [stage.job(), stage.job({ task: 'bad' })]
    const worker = await stage.work(adapter, { decide: ({ task }) => task === 'bad' ? failed() : completed() })
    await stage.enqueue([good, bad], adapter)
    await stage.state(good.id, 'completed', adapter)
    await stage.state(bad.id, 'failed', adapter)
    const [still] = await stage.soon(adapter.enqueue([good]), 'enqueue')
    assert.equal(still?.deduplicated, true)
    await stage.found(async () => {
      // Some engines clean up only when there is something to do.
      await stage.enqueue([stage.job(), stage.job({ task: 'bad' })], adapter)
      return await stage.status(good.id, adapter) === null && await stage.status(bad.id, adapter) === null
    }, 'the end of the retention', retention)
    const [anew] = await stage.soon(adapter.enqueue([good]), 'enqueue')
    assert.notEqual(anew?.deduplicated, true)
    const cameTwice = (): boolean => worker.ids.filter(id => id === good.id).length === 2
    await stage.found(cameTwice, 'delivery of the job that was stored anew')
  })

  check('keeps failed jobs for longer than completed ones, where it is told so', ['status'], async stage => {
    const adapter = await stage.start({ retention: { completed: retention, failed: 600_000 } })
    const [good, bad] = [stage.job(), stage.job({ task: 'bad' })]
    await stage.work(adapter, { decide: ({ task }) => task === 'bad' ? failed() : completed() })
    await stage.enqueue([bad, good], adapter)
    await stage.state(bad.id, 'failed', adapter)
    await stage.state(good.id, 'completed', adapter)
    await stage.found(async () => {
      await stage.enqueue([stage.job(), stage.job({ task: 'bad' })], adapter)
      return await stage.status(good.id, adapter) === null
    }, 'the end of the retention', retention)
    assert.equal((await stage.status(bad.id, adapter))?.state, 'failed')
  })
}

function assertError ({ error }: JobInfo, message: string): void {
  const expected = { name: 'Mishap', message, code: 'CONFORMANCE_MISHAP' }
  assert.deepEqual(error, expected, 'error: name, message and code, no stack, no cause')
}
