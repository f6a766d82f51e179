import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { QueueAdapter } from '../../../../types/index.ts'
import { checks, closing, type Flag } from '../check.ts'
import type { ConformanceOptions } from '../options.ts'
import { isStored, isSure, isSureRejection } from '../stage/answer.ts'
import { Stage } from '../stage/stage.ts'
import { completed } from '../stage/verdict.ts'

/** tsc knows a name that is missing here, or too many. */
const known: Record<Flag, true> = {
  delay: true,
  priority: true,
  dedupe: true,
  retry: true,
  result: true,
  cancelPending: true,
  transactional: true,
  durable: true,
  missedOnce: true
}

const flags = Object.keys(known) as Flag[]

export function lifecycle (options: ConformanceOptions): void {
  const check = checks(options)

  /** Like a check, with an adapter that was not started. */
  const checkNew = (name: string, body: (stage: Stage, adapter: QueueAdapter) => Promise<void> | void): void => {
    void test(name, async () => {
      const stage = new Stage(options)
      await closing(stage, async () => body(stage, await stage.create()))
    })
  }

  checkNew('says what it can do, and has the methods for it', (_stage, { name, capabilities }) => {
    assert.ok(typeof name === 'string' && name !== '', 'name: a string')
    for (const flag of flags) assert.equal(typeof capabilities[flag], 'boolean', `capabilities.${flag}: true or false`)
    const steps = ['none', 'minute', 'second']
    assert.ok(steps.includes(capabilities.schedule), 'capabilities.schedule: none, minute or second')
    if (capabilities.batch !== false) {
      assert.ok(capabilities.batch.max >= 1, 'capabilities.batch.max: 1 or more')
      assert.ok(capabilities.batch.inFlight >= 1, 'capabilities.batch.inFlight: 1 or more')
    }
  })

  check('has the methods that its capabilities need, and no others', [], ({ adapter }) => {
    const { capabilities } = adapter
    if (capabilities.result) assert.ok(adapter.status, 'result: true needs status()')
    if (capabilities.cancelPending) assert.ok(adapter.cancel, 'cancelPending: true needs cancel()')
    for (const method of ['schedule', 'unschedule'] as const) {
      const message = `${method}() is there when capabilities.schedule says so`
      assert.equal(adapter[method] !== undefined, capabilities.schedule !== 'none', message)
    }
  })

  checkNew('rejects enqueue before start, and promises that nothing was stored', async (stage, adapter) => {
    await assert.rejects(stage.soon(adapter.enqueue([stage.job()]), 'rejection of enqueue'), isSureRejection)
  })

  check('rejects enqueue after close, and promises that nothing was stored', [], async stage => {
    const adapter = await stage.start()
    await stage.soon(adapter.close(), 'close')
    await assert.rejects(stage.soon(adapter.enqueue([stage.job()]), 'rejection of enqueue'), isSureRejection)
  })

  check('works and enqueues in one process', [], async stage => {
    const worker = await stage.work()
    const job = stage.job()
    await stage.enqueue([job])
    assert.equal((await worker.next()).job.id, job.id)
  })

  checkNew('closes without a start', async (stage, adapter) => {
    await stage.soon(adapter.close(), 'close')
  })

  check('closes twice', [], async stage => {
    const worker = await stage.work()
    await stage.enqueue([stage.job()])
    ;(await worker.next()).end(completed())
    await stage.soon(Promise.all([stage.adapter.close(), stage.adapter.close()]), 'two closes at once')
    await stage.soon(stage.adapter.close(), 'a close after the close')
  })

  check('closes while jobs are on their way: each is stored or rejected', [], async stage => {
    const producer = await stage.start()
    const jobs = stage.jobs(20)
    const settled = Promise.allSettled(jobs.map(job => producer.enqueue([job])))
    await stage.soon(producer.close(), 'close')
    const results = await stage.soon(settled, 'each enqueue')
    const worker = await stage.work(stage.adapter, { decide: () => completed() })
    await stage.marker(worker)
    results.forEach((result, index) => {
      const { id } = jobs[index]!
      if (isStored(result)) assert.ok(worker.ids.includes(id), 'a job with a receipt is delivered')
      else if (isSure(result)) assert.ok(!worker.ids.includes(id), 'a job rejected with ambiguous: false is not')
    })
  })

  checkNew('tells its health at any time', async (stage, adapter) => {
    const health = async (): Promise<boolean> => {
      const { ok, warnings, latency = 0 } = await stage.soon(adapter.health(), 'health')
      assert.equal(typeof ok, 'boolean')
      assert.ok(Array.isArray(warnings) && warnings.every(warning => typeof warning === 'string'), 'warnings: strings')
      assert.ok(latency >= 0, 'latency: ms')
      return ok
    }
    await health()
    await adapter.start(stage.startOptions)
    await stage.found(health, 'health that is ok')
    await adapter.close()
    assert.equal(await health(), false, 'a closed adapter is not ok')
  })
}
