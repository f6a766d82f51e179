import { randomUUID } from 'node:crypto'
import { Queue, Worker } from 'bullmq'
import { Redis } from 'ioredis'
import { bullmq } from '../../dist/lib/adapters/bullmq/index.js'
import { makeApp } from './app.js'
import { Finish, makeTask, payload } from './task.js'

const url = process.env.REDIS_URL ?? 'redis://127.0.0.1:6379'
const CONCURRENCY = 50
const JOBS = 20_000

/** The engine alone: `queue.add` with the same data and options, and a `Worker` whose processor does nothing. */
export async function open () {
  const prefix = `bench-${randomUUID()}`
  const client = new Redis(url, { maxRetriesPerRequest: null })
  const queue = new Queue('default', { connection: client, prefix })
  await queue.waitUntilReady()
  const finish = new Finish()
  const task = makeTask(finish)
  const app = await makeApp(bullmq({ connection: url, prefix }), task)
  await app.ready()

  const add = () => queue.add('mail', { payload, version: 1, enqueuedAt: Date.now() }, {
    jobId: randomUUID(),
    priority: 51,
    attempts: 1
  })

  /** A worker closes only connections that it has made itself. */
  function workRaw () {
    const connection = client.duplicate()
    const options = { connection, prefix, concurrency: CONCURRENCY }
    const worker = new Worker('default', async () => { finish.reach() }, options)
    worker.once('closed', () => connection.disconnect())
    return worker
  }

  async function jobsPerSecond (work) {
    await Promise.all(Array.from({ length: JOBS }, add))
    const ended = finish.expect(JOBS)
    const start = performance.now()
    const worker = await work()
    await ended
    const time = performance.now() - start
    await worker.close()
    return JOBS / time * 1_000
  }

  return {
    targets: { 1: 0.95, 10: 0.95, 100: 0.95, worker: 0.9 },
    raw: add,
    ours: () => app.backgroundTasks.enqueue(task, payload),
    work: {
      concurrency: CONCURRENCY,
      raw: () => jobsPerSecond(workRaw),
      ours: () => jobsPerSecond(() => app.backgroundTasks.work({ concurrency: CONCURRENCY }))
    },
    clear: () => queue.obliterate({ force: true }),
    async close () {
      await app.close()
      await queue.obliterate({ force: true })
      await queue.close()
      client.disconnect()
    }
  }
}
