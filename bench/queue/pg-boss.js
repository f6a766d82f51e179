import { randomBytes, randomUUID } from 'node:crypto'
import pg from 'pg'
import { PgBoss } from 'pg-boss'
import { pgBoss } from '../../dist/lib/adapters/pg-boss/index.js'
import { makeApp } from './app.js'
import { Finish, makeTask, payload } from './task.js'

const connectionString = process.env.DATABASE_URL ?? 'postgres://postgres@127.0.0.1:5432/test'
const CONCURRENCY = 50
const JOBS = 4_000

/** The engine alone is `boss.send` with the same data and options, and its `work` with a handler that does nothing. */
export async function open () {
  const schema = `bench_${randomBytes(6).toString('hex')}`
  const pool = new pg.Pool({ connectionString, max: 1 })
  const finish = new Finish()
  const task = makeTask(finish)
  const app = await makeApp(pgBoss({ connection: connectionString, schema }), task)
  const boss = new PgBoss({
    connectionString,
    schema,
    max: 10,
    supervise: false,
    schedule: false,
    useListenNotify: true
  })
  boss.on('error', error => { throw error })
  const send = () => boss.send('default', { payload, version: 1, enqueuedAt: Date.now() }, {
    id: randomUUID(),
    priority: 50,
    retryLimit: 0
  })
  app.post('/raw', async () => ({ id: await send() }))
  app.post('/ours', request => request.backgroundTasks.enqueue(task, payload))
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  // Both use the schema that ours makes.
  while (!(await app.backgroundTasks.health()).ok) await new Promise(resolve => setTimeout(resolve, 100))
  await boss.start()

  async function jobsPerSecond (work) {
    await app.backgroundTasks.enqueueMany(task, Array(JOBS).fill(payload))
    const ended = finish.expect(JOBS)
    const start = performance.now()
    const close = await work()
    await ended
    const time = performance.now() - start
    await close()
    return JOBS / time * 1_000
  }

  return {
    targets: { 1: 0.95, 100: 5, worker: 0.9, route: 5 },
    raw: send,
    ours: () => app.backgroundTasks.enqueue(task, payload),
    work: {
      concurrency: CONCURRENCY,
      raw: () => jobsPerSecond(async () => {
        const options = { batchSize: CONCURRENCY, burstWhenBatchFull: true, pollingIntervalSeconds: 0.5 }
        const id = await boss.work('default', options, async jobs => {
          for (let i = 0; i < jobs.length; i++) finish.reach()
        })
        return () => boss.offWork('default', { id })
      }),
      ours: () => jobsPerSecond(async () => {
        const worker = await app.backgroundTasks.work({ concurrency: CONCURRENCY })
        return () => worker.close()
      })
    },
    route: { raw: `${url}/raw`, ours: `${url}/ours` },
    clear: () => pool.query(`delete from ${schema}.job`),
    async close () {
      await boss.stop({ graceful: false })
      await app.close()
      await pool.query(`drop schema ${schema} cascade`)
      await pool.end()
    }
  }
}
