// Routing, in Celery task_routes: each kind of work has a queue, so that slow reports do not hold up mails.
// A worker takes all queues, or those it is told: in production each of the two below is a process of its own,
// npx fastify-background-tasks worker app.js --queues mails --concurrency 20
import { once } from 'node:events'
import { Type } from '@sinclair/typebox'
import Fastify from 'fastify'
import backgroundTasks, { defineTask } from 'fastify-background-tasks'
import { ended } from './ended.js'
import { openQueue } from './open-queue.js'

const mailsSent = new EventTarget()

const report = defineTask({
  name: 'report',
  queue: 'reports',
  payload: Type.Object({ month: Type.String() }),
  async run ({ month }) {
    await once(mailsSent, 'all')
    console.log(`report of ${month} written`)
  }
})

const mail = defineTask({
  name: 'mail',
  queue: 'mails',
  payload: Type.Object({ to: Type.String() }),
  run: ({ to }) => console.log(`mail to ${to} sent`)
})

const queue = await openQueue()
const app = Fastify()
await app.register(backgroundTasks, { adapter: queue.adapter, tasks: [report, mail] })
await app.ready()
const workers = [
  await app.backgroundTasks.work({ queues: ['reports'], concurrency: 1 }),
  await app.backgroundTasks.work({ queues: ['mails'], concurrency: 20 })
]

const reports = await app.backgroundTasks.enqueueMany(report, [{ month: 'May' }])
const mails = await app.backgroundTasks.enqueueMany(mail, [{ to: 'ada@example.org' }, { to: 'alan@example.org' }])
await ended(app, mails.map(({ id }) => id))
mailsSent.dispatchEvent(new Event('all'))
await ended(app, reports.map(({ id }) => id))
for (const worker of workers) console.log(`${worker.queues}: ${worker.stats().completed} completed`)

await app.close()
await queue.remove()
