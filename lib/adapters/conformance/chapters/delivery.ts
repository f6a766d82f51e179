import assert from 'node:assert/strict'
import type { Job } from '../../../../types/index.ts'
import { checks } from '../check.ts'
import type { ConformanceOptions } from '../options.ts'
import { EARLY } from '../stage/event.ts'
import { complete, completed } from '../stage/verdict.ts'

export function delivery (options: ConformanceOptions): void {
  const check = checks(options)

  check('delivers a job whole, as the first attempt', [], async stage => {
    const job = stage.job()
    await stage.enqueue([job])
    const { job: active } = await (await stage.work()).next()
    const { id, queue, task, data, attempt, signal } = active
    const expected = { id: job.id, queue: stage.queue, task: job.task, data: job.data, attempt: 1 }
    assert.deepEqual({ id, queue, task, data, attempt }, expected)
    assert.ok(signal instanceof AbortSignal, 'signal: an AbortSignal')
    assert.equal(signal.aborted, false)
  })

  check('delivers in order, batches and single jobs alike', [], async stage => {
    const jobs = stage.jobs(40)
    await stage.enqueue(jobs.slice(0, 15))
    for (const job of jobs.slice(15, 25)) await stage.enqueue([job])
    await stage.enqueue(jobs.slice(25))
    const worker = await stage.work(stage.adapter, { decide: complete })
    await worker.take(jobs.length)
    assert.deepEqual(worker.ids, jobs.map(({ id }) => id))
  })

  check('delivers by priority, then in order', ['priority'], async stage => {
    const priorities = [50, 1, 100, 50, 99, 2, 100, 10, 9, 50]
    const jobs = priorities.map((priority, index) => stage.job({ priority, task: `${priority}-${index}` }))
    await stage.enqueue(jobs.slice(0, 6))
    for (const job of jobs.slice(6)) await stage.enqueue([job])
    const worker = await stage.work(stage.adapter, { decide: complete })
    await worker.take(jobs.length)
    assert.deepEqual(worker.deliveries.map(({ job }) => job.task),
      jobs.toSorted((a, b) => b.priority - a.priority).map(({ task }) => task))
  })

  check('starts jobs that run at once by priority, then in order', [], async stage => {
    const { priority } = stage.adapter.capabilities
    const priorityOf = (index: number): number => priority ? [50, 1, 100][index % 3]! : 50
    const jobs = [...Array(30).keys()].map(index => stage.job({ task: `${index}`, priority: priorityOf(index) }))
    await stage.enqueue(jobs.slice(0, 20))
    await stage.enqueue(jobs.slice(20))
    const worker = await stage.work(stage.adapter, { concurrency: jobs.length })
    await worker.take(jobs.length)
    assert.deepEqual(worker.deliveries.map(({ job }) => job.task),
      jobs.toSorted((a, b) => b.priority - a.priority).map(({ task }) => task))
  })

  check('delivers no job before its delay has passed', ['delay'], async stage => {
    const worker = await stage.work(stage.adapter, { decide: complete })
    const [later, late, now] = [stage.job({ delay: 600 }), stage.job({ delay: 300 }), stage.job()]
    const sentAt = Date.now()
    await stage.enqueue([later, late, now])
    const deliveries = await worker.take(3)
    assert.deepEqual(worker.ids, [now.id, late.id, later.id])
    assert.ok(deliveries[1]!.at - sentAt >= late.delay - EARLY, 'not before 300 ms')
    assert.ok(deliveries[2]!.at - sentAt >= later.delay - EARLY, 'not before 600 ms')
  })

  check('keeps a delay that passes while nobody works', ['delay'], async stage => {
    const [late, later] = [stage.job({ delay: 100 }), stage.job({ delay: 200 })]
    await stage.enqueue([later, late])
    const idle = await stage.work(stage.adapter, { queue: stage.otherQueue, decide: complete })
    await stage.enqueue([stage.job({ queue: stage.otherQueue, delay: 400 })])
    await idle.next()
    const worker = await stage.work(stage.adapter, { decide: complete })
    await worker.take(2)
    assert.deepEqual(worker.ids, [late.id, later.id])
  })

  check('wakes a worker that waits', [], async stage => {
    const worker = await stage.work(stage.adapter, { decide: complete })
    const producer = await stage.start()
    const witness = await stage.work(stage.adapter, { queue: stage.otherQueue, decide: complete })
    for (const job of stage.jobs(5)) {
      // Until another queue has delivered, the worker has looked for more, and found nothing.
      await stage.enqueue([stage.job({ queue: stage.otherQueue })])
      await witness.next()
      await stage.enqueue([job], producer)
      assert.equal((await worker.next()).job.id, job.id)
    }
  })

  check('keeps queues apart', [], async stage => {
    const jobs = [stage.queue, stage.otherQueue, stage.queue, stage.otherQueue].map(queue => stage.job({ queue }))
    await stage.enqueue(jobs)
    for (const queue of [stage.queue, stage.otherQueue]) {
      const worker = await stage.work(stage.adapter, { queue, decide: complete })
      await worker.take(2)
      assert.deepEqual(worker.ids, jobs.filter(job => job.queue === queue).map(({ id }) => id))
      assert.deepEqual(worker.deliveries.map(({ job }) => job.queue), [queue, queue])
    }
  })

  check('runs as many jobs at once as it may, and no more', [], async stage => {
    const worker = await stage.work(stage.adapter, { concurrency: 3 })
    const witness = await stage.work(stage.adapter, { queue: stage.otherQueue, decide: complete })
    await stage.enqueue(stage.jobs(10))
    for (let ended = 0; ended < 10; ended++) {
      const due = Math.min(ended + 3, 10)
      await worker.take(due - worker.taken)
      // A delivery of another queue shows that a fourth would have had the time to come.
      await stage.enqueue([stage.job({ queue: stage.otherQueue })])
      await witness.next()
      assert.equal(worker.deliveries.length, due)
      worker.deliveries[ended]!.end(completed())
    }
    assert.equal(worker.peak, 3)
  })

  check('gives each of 1,000 jobs to one of two workers, once', [], async stage => {
    const settings = { concurrency: 10, decide: complete }
    const workers = [await stage.work(stage.adapter, settings), await stage.work(await stage.start(), settings)]
    const jobs = stage.jobs(1_000)
    await stage.enqueue(jobs)
    const ids = (): string[] => workers.flatMap(worker => worker.ids)
    await stage.found(() => ids().length >= jobs.length, 'delivery of 1,000 jobs')
    await Promise.all(workers.map(async ({ consumer }) => stage.soon(consumer.close(), 'close')))
    assert.equal(ids().length, jobs.length, 'no job is delivered twice')
    assert.deepEqual(ids().sort(), jobs.map(({ id }) => id).sort(), 'no job is lost')
    for (const { peak } of workers) assert.ok(peak <= 10, 'concurrency holds')
  })

  check('gives a job that runs long to nobody else', ['delay'], async stage => {
    // A process that stands still for as long has lost its jobs, and rightly so.
    const lease = Math.min(3_000, stage.timeout / 5)
    const adapters = [await stage.start({ lease }), await stage.start({ lease })]
    const settings = { concurrency: 2 }
    const workers = [await stage.work(adapters[0], settings), await stage.work(adapters[1], settings)]
    const long = stage.job()
    // Due when the lease of the long one would have ended twice.
    const last: Job = stage.job({ delay: 2.5 * lease })
    await stage.enqueue([long, last])
    const ids = (): string[] => workers.flatMap(worker => worker.ids)
    await stage.found(() => ids().includes(last.id), 'delivery of the delayed job', last.delay)
    const deliveries = ids().filter(id => id === long.id).length
    assert.equal(deliveries, 1, 'one worker has the job, though it runs longer than its lease')
    const run = workers.flatMap(worker => worker.deliveries).find(({ job }) => job.id === long.id)!
    assert.equal(run.job.signal.aborted, false)
  })
}
