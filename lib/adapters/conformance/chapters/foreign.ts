import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checks } from '../check.ts'
import type { ConformanceOptions } from '../options.ts'
import { completed, failed } from '../stage/verdict.ts'

export function foreign (options: ConformanceOptions): void {
  const plant = options.faults?.plant
  if (plant === undefined) {
    void test('jobs that another program stored', { skip: 'needs the fault plant' })
    return
  }
  const check = checks(options)

  check('gives up a job that cannot be read, and runs the others', [], async stage => {
    const planted = await plant(stage.queue)
    const jobs = stage.jobs(5)
    await stage.enqueue(jobs)
    const worker = await stage.work(stage.adapter, {
      concurrency: 2,
      decide: ({ id }) => planted.includes(id) ? failed() : completed()
    })
    await stage.found(() => worker.has(...jobs.map(({ id }) => id)), 'delivery of the jobs beside them')
    await stage.marker(worker)
    const ids = worker.ids.filter(id => planted.includes(id))
    assert.equal(new Set(ids).size, ids.length, 'none of them comes twice')
    if (stage.adapter.status === undefined) return
    for (const id of planted) {
      const info = await stage.status(id)
      assert.ok(info === null || info.state === 'failed', `a job that cannot be read is ${info?.state}`)
    }
  })
}
