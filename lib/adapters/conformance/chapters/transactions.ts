import assert from 'node:assert/strict'
import { checks } from '../check.ts'
import type { ConformanceOptions, Transaction } from '../options.ts'
import { complete } from '../stage/verdict.ts'

export function transactions (options: ConformanceOptions): void {
  const check = checks(options)

  check('refuses a transaction that it cannot join', [], async stage => {
    if (stage.adapter.capabilities.transactional) return
    await assert.rejects(stage.soon(stage.adapter.enqueue([stage.job()], { tx: {} }), 'rejection of enqueue'), Error)
    const worker = await stage.work(stage.adapter, { decide: complete })
    await stage.marker(worker)
    assert.equal(worker.ids.length, 1, 'nothing was stored')
  })

  const { begin } = options
  if (begin === undefined) return

  /** Begins a transaction that does not outlive the test. */
  const within = async (body: (transaction: Transaction) => Promise<void>): Promise<void> => {
    const transaction = await begin()
    let open = true
    const end = (how: 'commit' | 'rollback') => async (): Promise<void> => {
      open = false
      await transaction[how]()
    }
    try {
      await body({ tx: transaction.tx, commit: end('commit'), rollback: end('rollback') })
    } finally {
      if (open) await transaction.rollback()
    }
  }

  check('delivers a job once its transaction has been committed, not before', ['transactional'], async stage => {
    await within(async ({ tx, commit }) => {
      const jobs = stage.jobs(2)
      const worker = await stage.work(stage.adapter, { decide: complete })
      const receipts = await stage.soon(stage.adapter.enqueue(jobs, { tx }), 'enqueue')
      const expected = jobs.map(({ id }) => ({ id, error: undefined }))
      assert.deepEqual(receipts.map(({ id, error }) => ({ id, error })), expected)
      assert.equal(worker.ids.length, 0)
      await stage.soon(commit(), 'commit')
      assert.deepEqual((await worker.take(2)).map(({ job }) => job.id), jobs.map(({ id }) => id))
    })
  })

  check('forgets a job with its transaction', ['transactional'], async stage => {
    const job = stage.job()
    const worker = await stage.work(stage.adapter, { decide: complete })
    await within(async ({ tx, rollback }) => {
      await stage.soon(stage.adapter.enqueue([job], { tx }), 'enqueue')
      await stage.soon(rollback(), 'rollback')
    })
    await stage.marker(worker)
    assert.ok(!worker.ids.includes(job.id))
    const [receipt] = await stage.soon(stage.adapter.enqueue([job]), 'enqueue')
    assert.notEqual(receipt?.deduplicated, true, 'the id is free again')
    await stage.found(() => worker.ids.includes(job.id), 'delivery of the job that was stored anew')
  })

  check('goes on outside of a transaction that was rolled back', ['transactional'], async stage => {
    const [kept, dropped] = [stage.job(), stage.job()]
    await stage.enqueue([kept])
    await within(async ({ tx, rollback }) => {
      await stage.soon(stage.adapter.enqueue([dropped], { tx }), 'enqueue')
      await stage.soon(rollback(), 'rollback')
    })
    const worker = await stage.work(stage.adapter, { decide: complete })
    await stage.marker(worker)
    assert.deepEqual(worker.ids.slice(0, -1), [kept.id])
  })
}
