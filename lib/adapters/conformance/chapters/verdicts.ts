import assert from 'node:assert/strict'
import type { ActiveJob, JobVerdict } from '../../../../types/index.ts'
import { checks } from '../check.ts'
import type { ConformanceOptions } from '../options.ts'
import { EARLY } from '../stage/event.ts'
import { cancelled, completed, failed, postponed, retrying } from '../stage/verdict.ts'
import type { Delivery } from '../stage/worker.ts'

export function verdicts (options: ConformanceOptions): void {
  const check = checks(options)

  for (const last of [completed(), failed(), cancelled()]) {
    check(`never again delivers a job that ended as ${last.state}`, [], async stage => {
      const job = stage.job({ retry: { ...stage.job().retry, attempts: 5, delay: 0 } })
      const worker = await stage.work(stage.adapter, { decide: ({ task }) => task === 'marker' ? completed() : last })
      await stage.enqueue([job])
      await worker.next()
      await stage.marker(worker)
      await stage.marker(worker)
      assert.equal(worker.ids.filter(id => id === job.id).length, 1)
      if (stage.adapter.status !== undefined) await stage.state(job.id, last.state)
    })
  }

  check('delivers a job again once the delay of "retrying" has passed, as the next attempt', ['retry'], async stage => {
    const job = stage.job({ retry: { ...stage.job().retry, attempts: 4 } })
    const worker = await stage.work()
    await stage.enqueue([job])
    let earliest = 0
    for (const [index, delay] of [300, 0, 150].entries()) {
      const delivery = await worker.next()
      assert.equal(delivery.job.attempt, index + 1)
      assert.ok(delivery.at >= earliest - EARLY, 'not before its delay')
      earliest = Date.now() + delay
      delivery.end(retrying(delay))
    }
    const { at, job: { id, task, data, attempt, signal }, end } = await worker.next()
    assert.ok(at >= earliest - EARLY, 'not before its delay')
    assert.deepEqual({ id, task, data, attempt }, { id: job.id, task: job.task, data: job.data, attempt: 4 })
    assert.equal(signal.aborted, false)
    end(completed())
    await stage.marker(worker.release())
    assert.equal(worker.ids.filter(id => id === job.id).length, 4)
  })

  check('lets other jobs pass while one waits for its next attempt', ['retry'], async stage => {
    const [first, second] = [stage.job(), stage.job()]
    const decide = ({ id, attempt }: ActiveJob): JobVerdict =>
      id === first.id && attempt === 1 ? retrying(300) : completed()
    const worker = await stage.work(stage.adapter, { decide })
    await stage.enqueue([first, second])
    await worker.take(3)
    assert.deepEqual(worker.ids, [first.id, second.id, first.id])
  })

  check('delivers a postponed job again once the delay has passed, as the same attempt', ['delay'], async stage => {
    const job = stage.job({ retry: { ...stage.job().retry, attempts: 1 } })
    const worker = await stage.work()
    await stage.enqueue([job])
    let earliest = 0
    for (const delay of [200, 0, 100]) {
      const delivery = await worker.next()
      assert.equal(delivery.job.attempt, 1)
      assert.ok(delivery.at >= earliest - EARLY, 'not before its delay')
      earliest = Date.now() + delay
      delivery.end(postponed(delay))
    }
    const { at, job: { id, data, attempt }, end } = await worker.next()
    assert.ok(at >= earliest - EARLY, 'not before its delay')
    assert.deepEqual({ id, data, attempt }, { id: job.id, data: job.data, attempt: 1 })
    end(completed())
    if (stage.adapter.status !== undefined) await stage.state(job.id, 'completed')
  })

  check('counts attempts on after a job was postponed', ['delay', 'retry'], async stage => {
    const script = [retrying(0), postponed(0), retrying(0), completed()]
    const worker = await stage.work(stage.adapter, { decide: () => script.shift()! })
    await stage.enqueue([stage.job()])
    const deliveries = await worker.take(4)
    assert.deepEqual(deliveries.map(({ job }) => job.attempt), [1, 2, 2, 3])
  })

  check('delivers again on another worker what failed on the first', ['retry'], async stage => {
    const first = await stage.work()
    const job = stage.job()
    await stage.enqueue([job])
    const delivery = await first.next()
    const second = await stage.work(await stage.start())
    const closed = first.consumer.close()
    delivery.end(retrying(0))
    await stage.soon(closed, 'close')
    const { job: { id, attempt } } = await second.next()
    assert.deepEqual({ id, attempt }, { id: job.id, attempt: 2 })
  })

  const needs = ['delay', 'retry'] as const
  check('records the right end of each of 200 jobs, whatever happens to the others', needs, async stage => {
    const ends = [completed('right'), failed('right'), cancelled()]
    const jobs = Array.from({ length: 200 }, (_, index) => {
      const script: JobVerdict[] = []
      if (index % 4 === 1) script.push(retrying(index % 20))
      if (index % 5 === 2) script.push(postponed(index % 20))
      if (index % 4 === 3) script.push(retrying(0), retrying(0))
      const end = ends[index % ends.length]!
      script.push(end)
      // Those that are to be seen, delivery by delivery.
      const attempts = script.map((_, index) =>
        1 + script.slice(0, index).filter(({ state }) => state === 'retrying').length)
      return { job: stage.job(), script, end: end.state, attempts }
    })
    const scripts = new Map(jobs.map(({ job, script }) => [job.id, script.values()]))
    const decide = ({ id }: ActiveJob): JobVerdict => scripts.get(id)?.next().value ?? completed()
    const settings = { concurrency: 10, decide }
    const workers = [await stage.work(stage.adapter, settings), await stage.work(await stage.start(), settings)]
    await stage.enqueue(jobs.map(({ job }) => job))
    const deliveries = (): Delivery[] => workers.flatMap(worker => worker.deliveries)
    const expected = jobs.reduce((sum, { attempts }) => sum + attempts.length, 0)
    await stage.found(() => deliveries().length >= expected, 'all deliveries')
    // One of those that are wrong would come before it.
    const marker = stage.job({ priority: 1 })
    await stage.enqueue([marker])
    await stage.found(() => deliveries().some(({ job }) => job.id === marker.id), 'the job behind all others')
    for (const { job: { id }, attempts } of jobs) {
      const seen = deliveries().filter(({ job }) => job.id === id).map(({ job }) => job.attempt)
      assert.deepEqual(seen.sort(), attempts, 'each is delivered as often as it has to be, as the right attempt')
    }
    if (stage.adapter.status === undefined) return
    for (const { job: { id }, end, attempts } of jobs) {
      const info = await stage.state(id, end)
      assert.equal(info.attempts, attempts.at(-1))
      if (end === 'failed') assert.equal(info.error?.message, 'right')
    }
  })
}
