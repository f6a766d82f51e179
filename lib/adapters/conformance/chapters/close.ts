import assert from 'node:assert/strict'
import { checks } from '../check.ts'
import type { ConformanceOptions } from '../options.ts'
import { completed, failed } from '../stage/verdict.ts'

/** ms for runs that do not end in time. */
const GRACE = 200

export function close (options: ConformanceOptions): void {
  const check = checks(options)

  check('waits for the runs under way, and takes no more jobs', [], async stage => {
    const [job, behind] = [stage.job(), stage.job()]
    const worker = await stage.work()
    await stage.enqueue([job, behind])
    const { end } = await worker.next()
    let closed = false
    const closing = worker.consumer.close().then(() => { closed = true })
    const witness = await stage.work(stage.adapter, { queue: stage.otherQueue, decide: () => completed() })
    await stage.enqueue([stage.job({ queue: stage.otherQueue })])
    await witness.next()
    assert.equal(closed, false, 'close waits for the run')
    end(completed())
    await stage.soon(closing, 'close')
    if (stage.adapter.status !== undefined) {
      assert.equal((await stage.status(job.id))?.state, 'completed', 'the verdict is recorded when close resolves')
    }
    const next = await stage.work(stage.adapter, { decide: () => completed() })
    await stage.marker(next)
    assert.deepEqual(next.ids.slice(0, -1), [behind.id], 'what was not begun is left to the next worker')
    assert.deepEqual(worker.ids, [job.id])
  })

  check('does not wait for the whole grace when all runs have ended', [], async stage => {
    const worker = await stage.work()
    await stage.enqueue([stage.job()])
    const { end } = await worker.next()
    const closing = worker.consumer.close({ grace: 10 * stage.timeout })
    end(completed())
    await stage.soon(closing, 'close')
  })

  check('closes an idle consumer at once, and twice', [], async stage => {
    const worker = await stage.work()
    await stage.soon(worker.consumer.close(), 'close')
    await stage.soon(worker.consumer.close({ grace: 0 }), 'a second close')
  })

  check('delivers again what has not ended within the grace, and takes only the new verdict', [], async stage => {
    const job = stage.job()
    const first = await stage.work()
    await stage.enqueue([job])
    const lost = await first.next()
    const aborted = new Promise(resolve => lost.job.signal.addEventListener('abort', resolve))
    await stage.soon(first.consumer.close({ grace: GRACE }), 'close')
    const second = await stage.work(await stage.start())
    const { job: again, end } = await second.next()
    const { id, task, data } = again
    assert.deepEqual({ id, task, data }, { id: job.id, task: job.task, data: job.data })
    await stage.soon(aborted, 'abort of the signal of the run that lost its job')
    assert.equal(again.signal.aborted, false)
    lost.end(failed('of the run that lost its job'))
    await stage.marker(await stage.work(stage.adapter, { decide: () => completed() }))
    if (stage.adapter.status !== undefined) {
      assert.equal((await stage.status(job.id))?.state, 'running', 'the late verdict is not recorded')
    }
    end(completed('of the run that has it'))
    if (stage.adapter.status !== undefined) {
      const { result } = await stage.state(job.id, 'completed')
      if (stage.adapter.capabilities.result) assert.equal(result, 'of the run that has it')
    }
    assert.equal(second.ids.filter(id => id === job.id).length, 1)
  })

  check('closes the consumers with the adapter', [], async stage => {
    const [job, behind] = [stage.job(), stage.job()]
    const adapter = await stage.start()
    const worker = await stage.work(adapter)
    await stage.enqueue([job, behind])
    const { end } = await worker.next()
    const closing = adapter.close()
    end(completed())
    await stage.soon(closing, 'close')
    if (stage.adapter.status !== undefined) assert.equal((await stage.status(job.id))?.state, 'completed')
    const next = await stage.work(stage.adapter, { decide: () => completed() })
    await stage.marker(next)
    assert.deepEqual(next.ids.slice(0, -1), [behind.id])
    assert.deepEqual(worker.ids, [job.id])
  })

  check('delivers again what an adapter held that closed with a grace', [], async stage => {
    const jobs = stage.jobs(3)
    const adapter = await stage.start()
    const worker = await stage.work(adapter, { concurrency: 3 })
    await stage.enqueue(jobs)
    await worker.take(3)
    await stage.soon(adapter.close({ grace: GRACE }), 'close')
    const next = await stage.work(stage.adapter, { decide: () => completed() })
    await next.take(3)
    assert.deepEqual(next.ids.toSorted(), jobs.map(({ id }) => id).sort())
  })

  check('records the verdicts that come within the grace', [], async stage => {
    const [prompt, slow] = [stage.job(), stage.job()]
    const adapter = await stage.start()
    const worker = await stage.work(adapter, { concurrency: 2 })
    await stage.enqueue([prompt, slow])
    const deliveries = await worker.take(2)
    const closing = adapter.close({ grace: GRACE })
    deliveries.find(({ job }) => job.id === prompt.id)!.end(completed())
    await stage.soon(closing, 'close')
    const next = await stage.work(stage.adapter, { decide: () => completed() })
    await next.next()
    await stage.marker(next)
    assert.deepEqual(next.ids.slice(0, -1), [slow.id])
  })

  check('takes a new consumer after one has closed', [], async stage => {
    const first = await stage.work()
    await stage.soon(first.consumer.close(), 'close')
    const second = await stage.work()
    const job = stage.job()
    await stage.enqueue([job])
    assert.equal((await second.next()).job.id, job.id)
  })
}
