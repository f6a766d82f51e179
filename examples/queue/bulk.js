// 10,000 mails: enqueueMany checks all payloads, then stores them in a few calls. If one of these fails,
// `error.enqueued` has those that were stored.
import { setTimeout } from 'node:timers/promises'
import { Type } from '@sinclair/typebox'
import Fastify from 'fastify'
import backgroundTasks, { defineTask } from 'fastify-background-tasks'
import { openQueue } from './open-queue.js'

const sent = new Map()

const newsletter = defineTask({
  name: 'newsletter',
  queue: 'newsletters',
  payload: Type.Object({ to: Type.String() }),
  run ({ to }) { sent.set(to, (sent.get(to) ?? 0) + 1) }
})

const queue = await openQueue()
const app = Fastify()
await app.register(backgroundTasks, { adapter: queue.adapter, tasks: [newsletter] })
await app.ready()

const readers = Array.from({ length: 10_000 }, (_, number) => ({ to: `reader-${number}@example.org` }))
let began = performance.now()
const jobs = await app.backgroundTasks.enqueueMany(newsletter, readers)
console.log(`${jobs.length} mails enqueued in ${Math.round(performance.now() - began)} ms`)

began = performance.now()
const worker = await app.backgroundTasks.work({ queues: ['newsletters'], concurrency: 100 })
while (worker.stats().completed < readers.length) await setTimeout(20)
const ms = Math.round(performance.now() - began)
console.log(`${sent.size} readers got ${Math.max(...sent.values())} mail each, in ${ms} ms`)

await app.close()
await queue.remove()
