import assert from 'node:assert/strict'
import type { ActiveJob, JobVerdict } from '../../../../types/index.ts'
import { checks } from '../check.ts'
import type { ConformanceOptions } from '../options.ts'
import type { Stage } from '../stage/stage.ts'
import { cancelled, completed, failed, retrying } from '../stage/verdict.ts'

export function cancel (options: ConformanceOptions): void {
  const check = checks(options)
  const { cancelRunning = true } = options

  check('cancels a pending job: it never runs', ['cancelPending'], async stage => {
    const jobs = stage.jobs(3)
    await stage.enqueue(jobs)
    assert.equal(await cancelJob(stage, jobs[1]!.id), 'cancelled')
    const worker = await stage.work(stage.adapter, { decide: () => completed() })
    await stage.marker(worker)
    assert.deepEqual(worker.ids.slice(0, -1), [jobs[0]!.id, jobs[2]!.id])
    await assertGone(stage, jobs[1]!.id)
  })

  check('cancels a scheduled job: it never runs', ['cancelPending', 'delay'], async stage => {
    const job = stage.job({ delay: 200 })
    await stage.enqueue([job])
    assert.equal(await cancelJob(stage, job.id), 'cancelled')
    const worker = await stage.work(stage.adapter, { decide: () => completed() })
    await stage.marker(worker, { delay: 300 })
    assert.ok(!worker.ids.includes(job.id))
    await assertGone(stage, job.id)
  })

  const needsOfRetry = ['cancelPending', 'delay', 'retry'] as const
  check('cancels a job between two attempts: it runs no more', needsOfRetry, async stage => {
    const job = stage.job()
    // Long enough for the cancel to come first.
    const delay = Math.min(3_000, stage.timeout / 3)
    const decide = ({ id }: ActiveJob): JobVerdict => id === job.id ? retrying(delay) : completed()
    const worker = await stage.work(stage.adapter, { decide })
    await stage.enqueue([job])
    // A worker with one place has another job only when the first is over.
    await stage.marker(worker)
    assert.equal(await cancelJob(stage, job.id), 'cancelled')
    await stage.marker(worker, { delay: delay + 100 })
    assert.equal(worker.ids.filter(id => id === job.id).length, 1)
    await assertGone(stage, job.id)
  })

  check('cancels once: a second cancel finds it ended', ['cancelPending'], async stage => {
    const job = stage.job()
    await stage.enqueue([job])
    assert.equal(await cancelJob(stage, job.id), 'cancelled')
    assert.ok(['finished', 'not-found'].includes(await cancelJob(stage, job.id)))
  })

  check('does not cancel what it cannot', ['cancel'], async stage => {
    if (stage.adapter.capabilities.cancelPending) return
    const job = stage.job()
    await stage.enqueue([job])
    assert.notEqual(await cancelJob(stage, job.id), 'cancelled')
    await (await stage.work()).next()
  })

  check('finds nothing to cancel under an unknown id', ['cancel'], async stage => {
    assert.equal(await cancelJob(stage, crypto.randomUUID()), 'not-found')
  })

  check('says that a job has ended, and leaves it as it ended', ['cancel', 'status'], async stage => {
    const [good, bad] = [stage.job(), stage.job({ task: 'bad' })]
    await stage.work(stage.adapter, { decide: ({ task }) => task === 'bad' ? failed() : completed() })
    await stage.enqueue([good, bad])
    for (const [{ id }, state] of [[good, 'completed'], [bad, 'failed']] as const) {
      await stage.state(id, state)
      assert.equal(await cancelJob(stage, id), 'finished')
      assert.equal((await stage.status(id))?.state, state)
    }
  })

  check('says that a job is running, and records what its worker makes of it', ['cancel'], async stage => {
    const jobs = stage.jobs(2)
    await stage.enqueue(jobs)
    const worker = await stage.work()
    for (const [index, verdict] of [cancelled(), completed()].entries()) {
      const { job, end } = await worker.next()
      assert.equal(await cancelJob(stage, job.id), 'running')
      end(verdict)
      if (stage.adapter.status !== undefined) await stage.state(jobs[index]!.id, verdict.state)
    }
  })

  if (!cancelRunning) return
  for (const where of ['here', 'by another adapter']) {
    check(`aborts the signal of a running job that is cancelled ${where}`, ['cancel'], async stage => {
      const [job, other] = [stage.job(), stage.job()]
      await stage.enqueue([job, other])
      const deliveries = await (await stage.work(stage.adapter, { concurrency: 2 })).take(2)
      const signalOf = (id: string): AbortSignal => deliveries.find(({ job }) => job.id === id)!.job.signal
      const aborted = new Promise(resolve => signalOf(job.id).addEventListener('abort', resolve))
      const adapter = where === 'here' ? stage.adapter : await stage.start()
      assert.equal(await stage.soon(adapter.cancel!(job.id), 'cancel'), 'running')
      await stage.soon(aborted, 'abort of the signal')
      assert.ok(signalOf(job.id).reason instanceof Error, 'signal.reason: an Error')
      assert.equal(signalOf(other.id).aborted, false, 'the other job goes on')
    })
  }
}

async function cancelJob (stage: Stage, id: string): Promise<string> {
  return await stage.soon(stage.adapter.cancel!(id), 'cancel')
}

/** Some engines remove what is cancelled. */
async function assertGone (stage: Stage, id: string): Promise<void> {
  if (stage.adapter.status === undefined) return
  const info = await stage.status(id)
  assert.ok(info === null || info.state === 'cancelled', 'status: cancelled, or null')
}
