// A schedule, in Celery beat_schedule with crontab(): one job at each of its times, however many processes
// there are. SQLite and BullMQ take six fields, the first of which are seconds; pg-boss takes five, so there the
// two runs take up to two minutes.
import { once } from 'node:events'
import { Type } from '@sinclair/typebox'
import Fastify from 'fastify'
import backgroundTasks, { defineTask, startWorker } from 'fastify-background-tasks'
import { openQueue } from './open-queue.js'

const runs = new EventTarget()

const report = defineTask({
  name: 'report',
  payload: Type.Object({ of: Type.String() }),
  run ({ of }) {
    console.log(`report of ${of}`)
    runs.dispatchEvent(new Event('run'))
  }
})

const queue = await openQueue()
const app = Fastify()
await app.register(backgroundTasks, { adapter: queue.adapter, tasks: [report] })
await startWorker(app)

const everyTime = queue.adapter.capabilities.schedule === 'second' ? '* * * * * *' : '* * * * *'
const ran = once(runs, 'run')
// In an application from `onStartup`: a schedule of the same name is replaced, so each process may set it.
await app.backgroundTasks.schedule(report, { cron: everyTime, timezone: 'Europe/Berlin', payload: { of: 'sales' } })
console.log(`scheduled: ${everyTime}`)
await ran
await once(runs, 'run')
console.log(`unscheduled: ${await app.backgroundTasks.unschedule('report')}`)

await app.close()
await queue.remove()
