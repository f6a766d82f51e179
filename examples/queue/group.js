// A group, in Celery group(thumbnail.s(width) for width in widths): many at once, then the results of all.
import { Type } from '@sinclair/typebox'
import Fastify from 'fastify'
import backgroundTasks, { defineTask, startWorker } from 'fastify-background-tasks'
import { ended } from './ended.js'
import { openQueue } from './open-queue.js'

const thumbnail = defineTask({
  name: 'thumbnail',
  payload: Type.Object({ width: Type.Integer() }),
  run ({ width }) {
    if (width > 1_000) throw new Error(`${width} is wider than the image`)
    return `cat-${width}.png`
  }
})

const queue = await openQueue()
const app = Fastify()
await app.register(backgroundTasks, { adapter: queue.adapter, tasks: [thumbnail] })
await startWorker(app)

const jobs = await app.backgroundTasks.enqueueMany(thumbnail, [{ width: 100 }, { width: 400 }, { width: 1_600 }])
for (const { state, result, error } of await ended(app, jobs.map(({ id }) => id))) {
  console.log(`${state}: ${result ?? error.message}`)
}

await app.close()
await queue.remove()
