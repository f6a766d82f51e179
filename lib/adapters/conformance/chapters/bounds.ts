import assert from 'node:assert/strict'
import { checks } from '../check.ts'
import type { ConformanceOptions } from '../options.ts'
import { completed } from '../stage/verdict.ts'

/** About 1 MB of JSON. */
const LARGE = 'ä😀x'.repeat(149_000)

/** What is as large as it may be. For payloads, see `enqueue`. */
export function bounds (options: ConformanceOptions): void {
  const check = checks(options)

  check('keeps an error of the greatest length whole', ['status'], async stage => {
    const error = { name: 'N'.repeat(128), message: 'ä😀\n'.repeat(2_048), code: 'C'.repeat(128) }
    const job = stage.job()
    const stack = 'at '.repeat(2_730)
    await stage.work(stage.adapter, { decide: () => ({ state: 'failed', error: { ...error, stack } }) })
    await stage.enqueue([job])
    assert.deepEqual((await stage.state(job.id, 'failed')).error, error)
  })

  check('keeps a result of 1 MB whole', ['status', 'result'], async stage => {
    const job = stage.job()
    await stage.work(stage.adapter, { decide: () => completed(LARGE) })
    await stage.enqueue([job])
    assert.equal((await stage.state(job.id, 'completed')).result, LARGE)
  })

  check('keeps a progress of 1 MB whole', ['status'], async stage => {
    const job = stage.job()
    await stage.enqueue([job])
    const { job: { progress } } = await (await stage.work()).next()
    await stage.soon(progress(LARGE), 'progress')
    assert.equal((await stage.status(job.id, await stage.start()))?.progress, LARGE)
  })
}
