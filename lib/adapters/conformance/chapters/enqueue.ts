import assert from 'node:assert/strict'
import type { Job, Receipt } from '../../../../types/index.ts'
import { checks } from '../check.ts'
import type { ConformanceOptions } from '../options.ts'
import { isStored, isSure } from '../stage/answer.ts'
import { payloads } from '../stage/payloads.ts'
import type { Stage } from '../stage/stage.ts'
import { complete } from '../stage/verdict.ts'

/** That send the same at the same time. */
const PROCESSES = 12

export function enqueue (options: ConformanceOptions): void {
  const check = checks(options)

  check('gives a receipt for each job, in order', [], async stage => {
    const jobs = stage.jobs(30)
    const receipts = await stage.soon(stage.adapter.enqueue(jobs), 'enqueue')
    assert.deepEqual(receipts.map(({ id }) => id), jobs.map(({ id }) => id))
    for (const { deduplicated, error } of receipts) {
      assert.equal(error, undefined)
      assert.notEqual(deduplicated, true, 'a new id is not deduplicated')
    }
  })

  check('gives no receipt for no job', [], async stage => {
    assert.deepEqual(await stage.soon(stage.adapter.enqueue([]), 'enqueue'), [])
  })

  check('has stored all jobs once enqueue resolves', ['status'], async stage => {
    const producer = await stage.start()
    const jobs = stage.jobs(10)
    await stage.enqueue(jobs, producer)
    for (const { id } of jobs) assert.equal((await stage.status(id))?.state, 'pending')
  })

  check('delivers what was stored by an adapter that has closed', [], async stage => {
    const producer = await stage.start()
    const jobs = stage.jobs(3)
    await stage.enqueue(jobs, producer)
    await stage.soon(producer.close(), 'close')
    const worker = await stage.work(stage.adapter, { decide: complete })
    await worker.take(3)
    assert.deepEqual(worker.ids, jobs.map(({ id }) => id))
  })

  check('leaves ids as they are', [], async stage => {
    const tail = (): string => crypto.randomUUID().slice(-12)
    const ids = [crypto.randomUUID(), `01936d3f-0a2b-7c4d-8e5f-${tail()}`, `00000000-0000-4000-8000-${tail()}`]
    const receipts = await stage.soon(stage.adapter.enqueue(ids.map(id => stage.job({ id }))), 'enqueue')
    const worker = await stage.work(stage.adapter, { decide: complete })
    await worker.take(3)
    assert.deepEqual(receipts.map(({ id }) => id), ids)
    assert.deepEqual(worker.ids, ids)
  })

  check('knows an id that was stored before, and changes nothing', ['dedupe'], async stage => {
    const [first, fresh] = [stage.job(), stage.job()]
    const again = { ...first, data: { ...first.data, payload: 'another' } }
    await stage.enqueue([first])
    const [repeated] = await stage.soon(stage.adapter.enqueue([again]), 'enqueue')
    const elsewhere = await stage.soon((await stage.start()).enqueue([again, fresh]), 'enqueue')
    assert.deepEqual([repeated, ...elsewhere].map(said), [
      { id: first.id, deduplicated: true },
      { id: first.id, deduplicated: true },
      { id: fresh.id, deduplicated: false }
    ])
    const worker = await stage.work(stage.adapter, { decide: complete })
    await stage.marker(worker)
    assert.deepEqual(worker.ids.slice(0, -1), [first.id, fresh.id], 'each is delivered once')
    assert.deepEqual(worker.deliveries[0]!.job.data, first.data, 'the data are those of the first')
  })

  check('knows an id that is twice in one batch', ['dedupe'], async stage => {
    const [first, other] = [stage.job(), stage.job()]
    const receipts = await stage.soon(stage.adapter.enqueue([first, other, first]), 'enqueue')
    assert.deepEqual(receipts.map(said), [
      { id: first.id, deduplicated: false },
      { id: other.id, deduplicated: false },
      { id: first.id, deduplicated: true }
    ])
    const worker = await stage.work(stage.adapter, { decide: complete })
    await stage.marker(worker)
    assert.deepEqual(worker.ids.slice(0, -1), [first.id, other.id])
  })

  check('stores an id once that many send at the same time', ['dedupe'], async stage => {
    const adapters = [stage.adapter]
    while (adapters.length < PROCESSES) adapters.push(await stage.start())
    // Some connect after their start.
    for (const adapter of adapters) await stage.found(async () => (await adapter.health()).ok, 'health that is ok')
    const jobs = stage.jobs(60)
    const batches = stage.batches(jobs)
    const receipts = (await stage.soon(Promise.all(adapters.flatMap((adapter, index) =>
      batches.map(async batch => adapter.enqueue(index % 2 === 0 ? batch : batch.toReversed())))), 'enqueue')).flat(2)
    for (const { id } of jobs) {
      const fresh = receipts.filter(receipt => receipt.id === id && receipt.deduplicated !== true)
      assert.equal(fresh.length, 1, 'one of all receipts says that it is new')
    }
    const worker = await stage.work(stage.adapter, { decide: complete, concurrency: 5 })
    await stage.marker(worker)
    await stage.marker(worker)
    assert.deepEqual(worker.ids.slice(0, -2).sort(), jobs.map(({ id }) => id).sort(), 'each is delivered once')
  })

  check('knows the id of a job that has ended', ['dedupe', 'status'], async stage => {
    const job = stage.job()
    const worker = await stage.work(stage.adapter, { decide: complete })
    await stage.enqueue([job])
    await stage.state(job.id, 'completed')
    const [receipt] = await stage.soon(stage.adapter.enqueue([job]), 'enqueue')
    assert.equal(receipt?.deduplicated, true)
    await stage.marker(worker)
    assert.equal(worker.ids.filter(id => id === job.id).length, 1, 'it is not delivered again')
    assert.equal((await stage.status(job.id))?.state, 'completed')
  })

  const trace = { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' }
  for (const [kind, payload] of Object.entries(payloads())) {
    check(`keeps ${kind} to the letter`, [], async stage => {
      const job = stage.job({
        task: 'Aufgabe/任务 1',
        data: { payload, version: 7, enqueuedAt: 1_790_000_000_123, requestId: 'req-1', trace }
      })
      await stage.enqueue([job])
      const { job: { task, data } } = await (await stage.work()).next()
      assert.equal(task, job.task)
      assert.deepEqual(data, job.data)
    })
  }

  check('keeps the job as it was when it was stored', [], async stage => {
    const payload = { to: ['first'] }
    await stage.enqueue([stage.job({ data: { payload, version: 1, enqueuedAt: 1 } })])
    payload.to.push('second')
    const { job } = await (await stage.work()).next()
    assert.deepEqual(job.data, { payload: { to: ['first'] }, version: 1, enqueuedAt: 1 })
  })

  check('stores nothing for a signal that has aborted, or says that it may have', [], async stage => {
    await settlesTruly(stage, async job => stage.adapter.enqueue([job], { signal: AbortSignal.abort() }))
  })

  check('stores the jobs or rejects when the signal aborts under way', [], async stage => {
    await settlesTruly(stage, async job => {
      const controller = new AbortController()
      const receipts = stage.adapter.enqueue([job], { signal: controller.signal })
      controller.abort()
      return await receipts
    })
  })

  async function settlesTruly (stage: Stage, send: (job: Job) => Promise<Receipt[]>): Promise<void> {
    const job = stage.job()
    const [result] = await stage.soon(Promise.allSettled([send(job)]), 'enqueue')
    const worker = await stage.work(stage.adapter, { decide: complete })
    await stage.marker(worker)
    const delivered = worker.ids.includes(job.id)
    if (isStored(result)) assert.ok(delivered, 'it resolved: the job is delivered')
    else if (isSure(result)) assert.ok(!delivered, 'it rejected with ambiguous: false: the job is not delivered')
  }

  check('refuses a delay that it cannot keep', [], async stage => {
    if (stage.adapter.capabilities.delay) return
    const job = stage.job({ delay: 60_000 })
    const [result] = await stage.soon(Promise.allSettled([stage.adapter.enqueue([job])]), 'enqueue')
    assert.ok(!isStored(result), 'without the capability, a delay is an error')
  })
}

function said (receipt: Receipt | undefined): { id: string | undefined, deduplicated: boolean } {
  return { id: receipt?.id, deduplicated: receipt?.deduplicated === true }
}
