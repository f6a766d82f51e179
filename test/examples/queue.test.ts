import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { build } from '../helpers/build.ts'
import { Child, root } from '../helpers/child.ts'
import { query, sharedPostgres } from '../helpers/postgres.ts'
import { sharedRedis, skipWithoutRedis } from '../helpers/redis.ts'

build()

type Engine = 'sqlite' | 'bullmq' | 'pg-boss'

const everywhere: Engine[] = ['sqlite', 'bullmq', 'pg-boss']

/** What each example prints, line by line, and where it runs. */
const examples: Record<string, { engines: Engine[], prints: (string | RegExp)[] }> = {
  bulk: {
    engines: everywhere,
    prints: [/^10000 mails enqueued in \d+ ms$/, /^10000 readers got 1 mail each, in \d+ ms$/]
  },
  chain: {
    engines: everywhere,
    prints: [
      'download completed: {"file":"cat.png"}',
      'resize completed: {"image":"200-cat.png"}',
      'publish completed: {"url":"https://images.example.org/200-cat.png"}'
    ]
  },
  chord: {
    engines: ['bullmq'],
    prints: ['completed: {"title":"Hamlet","words":13}']
  },
  'dead-letters': {
    engines: everywhere,
    prints: ['failed: the bank is closed', 'failed: the bank is closed', 'completed: paid to ada', 'completed: paid to alan']
  },
  group: {
    engines: everywhere,
    prints: ['completed: cat-100.png', 'completed: cat-400.png', 'failed: 1600 is wider than the image']
  },
  priorities: {
    engines: everywhere,
    prints: ['sent: your login code', 'sent: welcome', 'sent: order confirmed', 'sent: newsletter']
  },
  'rate-limit': {
    engines: ['bullmq'],
    prints: ['15 calls, the last one two windows after the first']
  },
  'result-callback': {
    engines: everywhere,
    prints: ['delivery, attempt 1: 503', 'delivery, attempt 2: 204', 'the client got terms.pdf']
  },
  routing: {
    engines: everywhere,
    prints: [/^mail to \w+@example.org sent$/, /^mail to \w+@example.org sent$/, 'report of May written', 'reports: 1 completed', 'mails: 2 completed']
  },
  schedule: {
    // pg-boss has no schedules by the second, and nobody wants to wait for a minute: its beginning is tested below.
    engines: ['sqlite', 'bullmq'],
    prints: ['scheduled: * * * * * *', 'report of sales', 'report of sales', 'unscheduled: true']
  },
  'time-limits': {
    engines: everywhere,
    prints: [
      'attempt 1 cleaned up: Task "transcode" took longer than 200 ms',
      'attempt 2 cleaned up: Task "transcode" took longer than 200 ms',
      'failed after 2 attempts: FST_ERR_BGT_TIMEOUT',
      'abandoned: 0'
    ]
  },
  transaction: {
    engines: ['sqlite'],
    prints: ['mail to ada@example.org', 'rolled back: UNIQUE constraint failed: users.email', '1 job was stored']
  }
}

const helpers = ['ended.js', 'open-queue.js']

/** The environment that leads an example to the engine's server. */
async function environmentOf (t: Test, engine: Engine): Promise<NodeJS.ProcessEnv> {
  if (engine === 'bullmq') return { QUEUE: engine, REDIS_URL: await sharedRedis(t) }
  if (engine === 'pg-boss') return { QUEUE: engine, DATABASE_URL: await sharedPostgres(t) }
  return {}
}

await t.test('every example of the folder is run', async t => {
  const files = readdirSync(join(root, 'examples/queue')).filter(file => !helpers.includes(file))
  t.strictSame(files.sort(), Object.keys(examples).map(name => `${name}.js`).sort())
})

await t.test('docs/queues.md says which are for one engine only', async t => {
  const only = (wanted: Engine): string[] => Object.entries(examples)
    .filter(([, { engines }]) => engines.join() === wanted).map(([name]) => `\`${name}.js\``)
  const says = `${only('bullmq').join(' and ')} are for BullMQ only, ${only('sqlite').join(' and ')} is for SQLite only`
  t.match(readFileSync(join(root, 'docs/queues.md'), 'utf8'), says)
})

for (const engine of everywhere) {
  await t.test(engine, { jobs: 2 }, async t => {
    const skip = engine === 'bullmq' && skipWithoutRedis
    const env = skip === false ? await environmentOf(t, engine) : {}
    // Node 22 says so of node:sqlite.
    const NODE_OPTIONS = `${process.env.NODE_OPTIONS ?? ''} --disable-warning=ExperimentalWarning`
    for (const [name, { engines, prints }] of Object.entries(examples)) {
      if (!engines.includes(engine)) continue
      void t.test(`${name}.js`, { skip }, async t => {
        const child = new Child(t, `examples/queue/${name}.js`, [], { ...env, NODE_OPTIONS })
        const exit = await child.exit
        t.strictSame(exit, { code: 0, signal: null }, { lines: child.lines })
        t.equal(child.lines.length, prints.length, 'as many lines', { lines: child.lines })
        t.match(child.lines, prints)
      })
    }
  })
}

await t.test('schedule.js on pg-boss, stopped before its first minute, leaves nothing behind', async t => {
  const server = await sharedPostgres(t)
  const name = `fbt_example_${randomBytes(6).toString('hex')}`
  await query(server, `create database ${name}`)
  t.teardown(() => query(server, `drop database ${name} with (force)`))
  const DATABASE_URL = server.replace(/^(\w+:\/\/[^/?]*)[^?]*/, `$1/${name}`)

  const schemas = (): Promise<object[]> => query(DATABASE_URL, "select 1 from pg_namespace where nspname like 'queue_example_%'")
  const child = new Child(t, 'examples/queue/schedule.js', [], { QUEUE: 'pg-boss', DATABASE_URL })
  await child.line(/^scheduled: \* \* \* \* \*$/)
  t.equal((await schemas()).length, 1)
  child.terminate()
  t.strictSame(await child.exit, { code: 0, signal: null }, { lines: child.lines })
  t.strictSame(await schemas(), [])
})
