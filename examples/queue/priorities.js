// Priorities, in Celery apply_async(priority=9): 1 to 100, the highest first, among the jobs of one queue.
import { Type } from '@sinclair/typebox'
import Fastify from 'fastify'
import backgroundTasks, { defineTask } from 'fastify-background-tasks'
import { ended } from './ended.js'
import { openQueue } from './open-queue.js'

const mail = defineTask({
  name: 'mail',
  priority: 50, // the default
  payload: Type.Object({ subject: Type.String() }),
  run: ({ subject }) => console.log(`sent: ${subject}`)
})

const queue = await openQueue()
const app = Fastify()
await app.register(backgroundTasks, { adapter: queue.adapter, tasks: [mail] })
await app.ready()

const jobs = [
  await app.backgroundTasks.enqueue(mail, { subject: 'newsletter' }, { priority: 1 }),
  await app.backgroundTasks.enqueue(mail, { subject: 'welcome' }),
  await app.backgroundTasks.enqueue(mail, { subject: 'order confirmed' }),
  await app.backgroundTasks.enqueue(mail, { subject: 'your login code' }, { priority: 100 })
]
await app.backgroundTasks.work({ concurrency: 1 })
await ended(app, jobs.map(({ id }) => id))

await app.close()
await queue.remove()
