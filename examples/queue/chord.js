// A chord, in Celery chord([count.s(page) for page in pages])(total.s()): when all of a group have completed,
// one task gets their results. BullMQ calls it a flow, and a flow is what the adapter's `native` is for.
import { Type } from '@sinclair/typebox'
import { FlowProducer } from 'bullmq'
import Fastify from 'fastify'
import backgroundTasks, { defineTask, startWorker } from 'fastify-background-tasks'
import { ended } from './ended.js'
import { openQueue } from './open-queue.js'

const pages = { one: 'to be or not to be', two: 'that is the question', three: 'whether tis nobler' }

const countWords = defineTask({
  name: 'count-words',
  queue: 'pages',
  payload: Type.Object({ page: Type.String() }),
  run: ({ page }) => pages[page].split(' ').length
})

const total = defineTask({
  name: 'total',
  queue: 'books',
  payload: Type.Object({ title: Type.String() }),
  async run ({ title }, { id }) {
    const books = await queue.adapter.native.queue('books')
    const job = await books.getJob(id)
    const counts = Object.values(await job.getChildrenValues())
    return { title, words: counts.reduce((sum, count) => sum + count, 0) }
  }
})

const queue = await openQueue({}, 'bullmq')
const app = Fastify()
await app.register(backgroundTasks, { adapter: queue.adapter, tasks: [countWords, total] })
await startWorker(app)

/** A task and its payload, as the adapter stores them. BullMQ runs priority 1 first, and jobs that have none before. */
function job (task, payload, opts) {
  const data = { payload, version: task.version, enqueuedAt: Date.now() }
  return { name: task.name, queueName: task.queue, data, opts: { priority: 101 - task.priority, ...opts } }
}

const flows = new FlowProducer({ connection: queue.adapter.native.client, prefix: queue.name })
const flow = await flows.add({
  ...job(total, { title: 'Hamlet' }, { jobId: crypto.randomUUID() }),
  children: Object.keys(pages).map(page => job(countWords, { page }, { failParentOnFailure: true }))
})

const [{ state, result }] = await ended(app, [flow.job.id])
console.log(`${state}: ${JSON.stringify(result)}`)

await app.close()
await queue.remove()
