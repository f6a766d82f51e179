// A rate limit, in Celery rate_limit="5/s": over all workers of a queue together, by BullMQ's limiter.
// It is an option of the worker, so tasks of one limit share a queue, and its worker is a process of its own.
// Without Redis, a queue of its own with `concurrency: 1` and one worker bounds how many run at once.
import { Type } from '@sinclair/typebox'
import Fastify from 'fastify'
import backgroundTasks, { defineTask, startWorker } from 'fastify-background-tasks'
import { ended } from './ended.js'
import { openQueue } from './open-queue.js'

const limiter = { max: 5, duration: 500 } // 5 in 500 ms
const started = []

const callPartner = defineTask({
  name: 'call-partner',
  queue: 'partner',
  payload: Type.Object({ order: Type.Integer() }),
  run () { started.push(performance.now()) }
})

const queue = await openQueue({ workerOptions: { limiter } }, 'bullmq')
const app = Fastify()
await app.register(backgroundTasks, { adapter: queue.adapter, tasks: [callPartner] })
await startWorker(app)

const orders = Array.from({ length: 15 }, (_, order) => ({ order }))
const began = performance.now()
const jobs = await app.backgroundTasks.enqueueMany(callPartner, orders)
await ended(app, jobs.map(({ id }) => id))
const windows = Math.round((started.at(-1) - began) / limiter.duration)
console.log(`${started.length} calls, the last one ${windows < 2 ? 'too early' : 'two windows after the first'}`)

await app.close()
await queue.remove()
