import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { sqlite } from '../../lib/adapters/sqlite/index.ts'
import type { Stats } from '../../types/index.ts'
import { makeApp } from '../helpers/app.ts'
import { build } from '../helpers/build.ts'
import { Child } from '../helpers/child.ts'
import { load } from '../helpers/load.ts'

build()

interface Report {
  /** Ids of tasks by order. */
  added: Record<string, string>
  /** Orders, as the task itself says. */
  completed: number[]
  stats: Stats
}

for (const requests of [200, 400, 600]) {
  await t.test(`SIGTERM after ${requests} requests: each task has run to its end, or is in the queue`, async t => {
    const folder = t.testdir({})
    const QUEUE = join(folder, 'queue.db')
    const REPORT = join(folder, 'report.json')
    const child = new Child(t, 'test/fixtures/escalating.js', [], { QUEUE, REPORT })
    const [, port] = await child.line(/^\{"port":(\d+)\}$/)
    const { cut } = await load(Number(port), 20, count => {
      if (count === requests) child.terminate()
    })
    t.strictSame(cut, [])
    t.strictSame(await child.exit, { code: 0, signal: null })
    const { added, completed, stats } = JSON.parse(readFileSync(REPORT, 'utf8')) as Report
    t.comment(stats)

    const app = await makeApp(t, { adapter: sqlite({ file: QUEUE }) })
    await app.ready()
    const queued: number[] = []
    for (const [order, id] of Object.entries(added)) {
      if ((await app.backgroundTasks.status(id))?.state === 'pending') queued.push(Number(order))
    }
    const all = [...completed, ...queued].toSorted(byNumber)
    t.strictSame(all, Object.keys(added).map(Number).toSorted(byNumber), 'each in one place')
    t.match(stats, { added: all.length, completed: completed.length, escalated: queued.length, lost: 0, failed: 0, pending: 0, running: 0 })
    t.ok(completed.length > 0)
    t.ok(queued.some(order => order % 5 === 0 && order % 7 !== 0), 'some that failed')
    t.ok(queued.some(order => order % 5 !== 0 && order % 7 !== 0), 'some that never ran')
  })
}

function byNumber (a: number, b: number): number {
  return a - b
}
