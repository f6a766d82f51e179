import { writeFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { Type } from '@sinclair/typebox'
import type { FastifyInstance } from 'fastify'
import { bullmq } from '../../lib/adapters/bullmq/index.ts'
import { pgBoss } from '../../lib/adapters/pg-boss/index.ts'
import { defineTask } from '../../lib/index.ts'
import type { QueueAdapter } from '../../types/index.ts'
import { makeApp } from '../helpers/app.ts'
import { LogLines } from '../helpers/log-lines.ts'
import { OwnPostgres, query } from '../helpers/postgres.ts'
import { RedisServer, skipWithoutRedisServer } from '../helpers/redis.ts'
import { Stage } from '../helpers/sqlite.ts'

/** Passwords, payloads, progress, results and messages of errors all have this word in them. */
const canary = /canary/i

/** The payload says what the task does; each of its parts is a secret. */
const task = defineTask({
  name: 'charge',
  payload: Type.Object({ card: Type.String(), size: Type.Optional(Type.Number()), fails: Type.Optional(Type.Boolean()) }),
  timeout: 0,
  async run ({ card, size = 1 }, { progress, signal }) {
    for (let i = 0; i < 3 && !signal.aborted; i++) {
      progress({ card })
      await wait(1)
    }
    return card.repeat(size)
  }
})

interface Server {
  readonly adapter: QueueAdapter
  /** What goes wrong once jobs have run. */
  fault (app: FastifyInstance): Promise<unknown>
  /** Nothing runs before it. */
  readonly isDown?: boolean
}

async function redis (t: Test, password?: string): Promise<{ server: RedisServer, connection: { path: string, password?: string }, client: () => Redis }> {
  const server = new RedisServer(t, '--requirepass', 'canary-right')
  await server.start()
  const client = (): Redis => {
    const client = new Redis({ path: server.path, password: 'canary-right' })
    client.on('error', () => {})
    t.teardown(() => client.disconnect())
    return client
  }
  return { server, connection: { path: server.path, password: password ?? 'canary-right' }, client }
}

const cases: Record<string, (t: Test) => Promise<Server>> = {
  async 'SQLite: a constraint' (t) {
    const stage = new Stage(t)
    const adapter = stage.create()
    return {
      adapter,
      fault: async () => {
        stage.connect().exec('create trigger refuse before insert on background_tasks_jobs begin select raise(abort, \'refused "canary"\'); end')
      }
    }
  },
  async 'SQLite: a table is gone' (t) {
    const stage = new Stage(t)
    return { adapter: stage.create(), fault: async () => stage.connect().exec('drop table background_tasks_jobs') }
  },
  async 'Redis: a wrong password' (t) {
    const { connection } = await redis(t, 'canary-wrong')
    return { adapter: bullmq({ connection, connectTimeout: 200, commandTimeout: 200 }), isDown: true, fault: async () => {} }
  },
  async 'Redis: it is killed' (t) {
    const { server, connection } = await redis(t)
    return { adapter: bullmq({ connection, connectTimeout: 200, commandTimeout: 200 }), fault: () => server.kill() }
  },
  async 'Redis: it takes no writes' (t) {
    const { connection, client } = await redis(t)
    return { adapter: bullmq({ connection, commandTimeout: 200 }), fault: () => client().config('SET', 'maxmemory', '1') }
  },
  async 'Redis: keys of another type' (t) {
    const { connection, client } = await redis(t)
    return {
      adapter: bullmq({ connection, commandTimeout: 200 }),
      fault: async () => {
        const redis = client()
        for (const key of ['wait', 'prioritized', 'active', 'events', 'completed']) await redis.pipeline().del(`bull:default:${key}`).set(`bull:default:${key}`, 'canary').exec()
      }
    }
  },
  async 'PostgreSQL: a wrong password' (t) {
    const own = await OwnPostgres.start(t)
    await query(own.url, 'CREATE ROLE canary LOGIN PASSWORD \'canary-right\'')
    const [{ hba_file: file }] = await query<{ hba_file: string }>(own.url, 'SHOW hba_file') as [{ hba_file: string }]
    writeFileSync(file, 'local all postgres trust\nlocal all all scram-sha-256\n')
    await query(own.url, 'SELECT pg_reload_conf()')
    return { adapter: pgBoss({ connection: own.url.replace('postgres@', 'canary:canary-wrong@') }), isDown: true, fault: async () => {} }
  },
  async 'PostgreSQL: it is killed' (t) {
    const own = await OwnPostgres.start(t)
    return { adapter: pgBoss({ connection: own.url }), fault: () => own.kill() }
  },
  async 'PostgreSQL: a constraint' (t) {
    const own = await OwnPostgres.start(t)
    return {
      adapter: pgBoss({ connection: own.url }),
      fault: () => query(own.url, 'ALTER TABLE pgboss.job_common ADD CONSTRAINT canary CHECK (output IS NULL AND data IS NULL) NOT VALID')
    }
  },
  async 'PostgreSQL: a table is gone' (t) {
    const own = await OwnPostgres.start(t)
    return { adapter: pgBoss({ connection: own.url }), fault: () => query(own.url, 'ALTER TABLE pgboss.job_common RENAME TO canary') }
  }
}

for (const [name, start] of Object.entries(cases)) {
  const options = name.startsWith('Redis') ? { skip: skipWithoutRedisServer } : {}
  await t.test(`nothing secret is logged, or told to a client: ${name}`, options, async t => {
    const { adapter, fault, isDown = false } = await start(t)
    const lines = new LogLines('trace')
    const app = await makeApp(t, { adapter, tasks: [task], enqueueTimeout: 1_000, maxPayload: 2_000, drainTimeout: 500 }, { logger: lines.logger })
    app.post('/', async request => request.backgroundTasks.enqueue(task, { card: 'canary' }))
    app.get('/health', async () => app.backgroundTasks.health())
    await app.ready()
    await app.backgroundTasks.work()
    const ended = (): number => lines.ofTasks.filter(({ msg, taskId }) => taskId !== undefined && /completed/.test(msg)).length
    if (!isDown) {
      for (const size of [1, 10_000]) await app.backgroundTasks.enqueue(task, { card: 'canary', size })
      while (ended() < 2) await wait(5)
    }
    await fault(app)
    const answers = await Promise.all([1, 2, 3].map(() => app.inject({ method: 'POST', url: '/', headers: { 'x-canary': 'no' } })))
    for (const { statusCode, body } of answers) {
      t.equal(statusCode, 503)
      t.notMatch(body, /canary|redis\.sock|fbt-pg|background_tasks_|pgboss/i)
    }
    const health = await app.inject('/health')
    t.notMatch(health.body, /canary|sock|fbt-pg|background_tasks_|pgboss/i)
    await app.close()
    t.strictSame(lines.all.map(line => JSON.stringify(line)).filter(line => canary.test(line)), [])
    t.ok(lines.all.length > 3, 'there are lines')
  })
}
