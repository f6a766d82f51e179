// Dead letters: what has failed for good is kept (`retention.failed`, 30 days), and is run again when the
// cause is mended. Each engine has its own way to do that; `native` leads there.
import { Type } from '@sinclair/typebox'
import Fastify from 'fastify'
import backgroundTasks, { defineTask, startWorker } from 'fastify-background-tasks'
import { ended } from './ended.js'
import { openQueue } from './open-queue.js'

let bank = 'closed'

const payout = defineTask({
  name: 'payout',
  payload: Type.Object({ to: Type.String() }),
  retry: { attempts: 2, delay: 50 },
  run ({ to }) {
    if (bank === 'closed') throw new Error('the bank is closed')
    return `paid to ${to}`
  }
})

/** By the adapter's name: runs the failed jobs of a queue again. */
const redriveBy = {
  sqlite (database, name) {
    database.prepare(`
      update background_tasks_jobs set state = 'pending', due = ?, attempts = 0, stalls = 0, ended_at = null
      where queue = ? and state = 'failed'`).run(Date.now(), name)
  },
  async bullmq ({ queue }, name) {
    const failed = await (await queue(name)).getFailed()
    for (const job of failed) await job.retry('failed', { resetAttemptsMade: true })
  },
  async 'pg-boss' (boss, name) {
    // Not by findJobs, which gives 1,000 at the most.
    const select = `select id from ${queue.name}.job where name = $1 and state = 'failed'`
    const { rows } = await boss.getDb().executeSql(select, [name])
    await boss.retry(name, rows.map(({ id }) => id))
  }
}

const queue = await openQueue()
const app = Fastify()
await app.register(backgroundTasks, { adapter: queue.adapter, tasks: [payout] })
await startWorker(app)

const jobs = await app.backgroundTasks.enqueueMany(payout, [{ to: 'ada' }, { to: 'alan' }])
const ids = jobs.map(({ id }) => id)
for (const { state, error } of await ended(app, ids)) console.log(`${state}: ${error.message}`)

bank = 'open'
const { adapter } = app.backgroundTasks
await redriveBy[adapter.name](adapter.native, payout.queue)
for (const { state, result } of await ended(app, ids)) console.log(`${state}: ${result}`)

await app.close()
await queue.remove()
