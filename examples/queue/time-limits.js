// Time limits, in Celery soft_time_limit: after `timeout` the signal aborts, and the attempt has failed.
// There is no hard limit, as nothing in a process can stop a function: what ignores its signal goes on, is
// counted as `abandoned`, and ends with the process. Pass the signal on to whatever takes time.
import { setTimeout } from 'node:timers/promises'
import Fastify from 'fastify'
import backgroundTasks, { defineTask, startWorker } from 'fastify-background-tasks'
import { ended } from './ended.js'
import { openQueue } from './open-queue.js'

const transcode = defineTask({
  name: 'transcode',
  timeout: 200,
  retry: { attempts: 2, delay: 100, jitter: 0 },
  async run (_payload, { attempt, signal }) {
    try {
      await setTimeout(60_000, undefined, { signal })
    } finally {
      console.log(`attempt ${attempt} cleaned up: ${signal.reason.message}`)
    }
  }
})

const queue = await openQueue()
const app = Fastify()
await app.register(backgroundTasks, { adapter: queue.adapter, tasks: [transcode] })
const worker = await startWorker(app)

const { id } = await app.backgroundTasks.enqueue(transcode)
const [{ state, attempts, error }] = await ended(app, [id])
console.log(`${state} after ${attempts} attempts: ${error.code}`)
console.log(`abandoned: ${worker.stats().abandoned}`)

await app.close()
await queue.remove()
