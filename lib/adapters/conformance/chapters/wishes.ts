import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import type { Cancellation, QueueAdapter } from '../../../../types/index.ts'
import { checks } from '../check.ts'
import type { ConformanceOptions } from '../options.ts'
import { found } from '../stage/event.ts'
import type { Stage } from '../stage/stage.ts'
import { cancelled, obey, retrying } from '../stage/verdict.ts'
import type { Worker } from '../stage/worker.ts'

/** Jobs that are cancelled: enough for what befalls one in a hundred. */
const COUNT = 200
/** Of them at once. */
const LANES = 20
/** Turns of the event loop between storing a job and cancelling it, at the most. */
const TURNS = 12

export function wishes (options: ConformanceOptions): void {
  const { cancelRunning = true, timeout = 10_000 } = options
  if (!cancelRunning) {
    void test('a wish to cancel a job, whatever becomes of its worker', { skip: 'cancelRunning: false' })
    return
  }
  const check = checks(options)
  const lease = Math.min(9_000, timeout / 2)
  // A third of the lease, and what a busy machine takes on top: less than half of the lease.
  const patience = lease / 3 + timeout / 20

  check('aborts the signal of each job that is cancelled as soon as a worker has it', ['cancel'], async stage => {
    const adapters = await askers(stage)
    const worker = await stage.work(adapters[0], { concurrency: LANES })
    await stage.enqueue(stage.jobs(COUNT))
    await each(async index => {
      const { job: { id } } = await worker.next()
      assert.equal(await cancelJob(stage, id, adapters[index % adapters.length]), 'running')
      await told(stage, worker, id)
    })
  })

  const name = 'keeps a job from running, or aborts its signal, when it is cancelled as soon as it is stored'
  check(name, ['cancelPending'], async stage => {
    const adapters = await askers(stage)
    const worker = await stage.work(adapters[0], { concurrency: LANES })
    const kept: string[] = []
    await each(async index => {
      const job = stage.job()
      await stage.enqueue([job], adapters.at(index % adapters.length - 1))
      for (let turn = index % TURNS; turn > 0; turn--) await setImmediate()
      const answer = await cancelJob(stage, job.id, adapters[index % adapters.length])
      if (answer === 'cancelled') {
        kept.push(job.id)
      } else {
        assert.equal(answer, 'running')
        await told(stage, worker, job.id)
      }
    })
    await stage.marker(worker)
    assert.deepEqual(kept.filter(id => worker.has(id)), [], 'what is cancelled does not run')
  })

  const needs = ['cancel', 'status'] as const
  check('tells the next worker of a job that was cancelled before its own closed', needs, async stage => {
    const jobs = stage.jobs(5)
    const adapter = await stage.start({ lease })
    const worker = await stage.work(adapter, { concurrency: jobs.length })
    await stage.enqueue(jobs)
    await worker.take(jobs.length)
    for (const { id } of jobs) assert.equal(await cancelJob(stage, id), 'running')
    await stage.soon(adapter.close({ grace: 0 }), 'close')
    const next = await stage.work(stage.adapter, { decide: obey })
    for (const { id } of jobs) await stage.stopped(id, next)
    await stage.marker(next)
  })

  const needsOfRetry = ['cancel', 'retry', 'status'] as const
  check('tells the next attempt of a job that was cancelled while one failed', needsOfRetry, async stage => {
    const job = stage.job()
    const worker = await stage.work()
    await stage.enqueue([job])
    const { end } = await worker.next()
    assert.equal(await cancelJob(stage, job.id), 'running')
    const closed = worker.consumer.close()
    end(retrying(0))
    await stage.soon(closed, 'close')
    await stage.stopped(job.id, await stage.work(stage.adapter, { decide: obey }))
  })

  /** Adapters that are asked to cancel by turns, the first of which works. */
  async function askers (stage: Stage): Promise<QueueAdapter[]> {
    return await Promise.all([stage.start({ lease }), stage.start({ lease })])
  }

  /** Waits until the worker of a job knows that it was cancelled, or the job has ended so, and ends its run. */
  async function told (stage: Stage, worker: Worker, id: string): Promise<void> {
    await found(async () => {
      const delivery = worker.deliveries.findLast(({ job }) => job.id === id)
      if (delivery?.job.signal.aborted === true) {
        delivery.end(cancelled())
        return true
      }
      return stage.adapter.status !== undefined && (await stage.status(id))?.state === 'cancelled'
    }, patience, 'abort of the signal after "running"')
  }
}

async function each (body: (index: number) => Promise<void>): Promise<void> {
  const indexes = Array(COUNT).keys()
  await Promise.all(Array.from({ length: LANES }, async () => {
    for (const index of indexes) await body(index)
  }))
}

async function cancelJob (stage: Stage, id: string, adapter: QueueAdapter = stage.adapter): Promise<Cancellation> {
  return await stage.soon(adapter.cancel!(id), 'cancel')
}
