import { randomBytes } from 'node:crypto'
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { bullmq } from '../../lib/adapters/bullmq/index.ts'
import { memory } from '../../lib/adapters/memory/index.ts'
import { pgBoss } from '../../lib/adapters/pg-boss/index.ts'
import { sqlite } from '../../lib/adapters/sqlite/index.ts'
import { build } from '../helpers/build.ts'
import { Child, root } from '../helpers/child.ts'
import { query, sharedPostgres } from '../helpers/postgres.ts'
import { RedisServer, skipWithoutRedisServer } from '../helpers/redis.ts'

build()
// Each of those that start processes has a folder of its own.
t.jobs = 5

const text = readFileSync(join(root, 'docs/queues.md'), 'utf8')

function blocks (language: string): string[] {
  return Array.from(text.matchAll(new RegExp(`\`\`\`${language}\n([^]*?)\`\`\``, 'g')), ([, code]) => code!)
}

/** Files by their names, which are in their first lines. */
const files = new Map(blocks('js').map(code => [/^\/\/ ([\w.-]+)/.exec(code)?.[1], code]))
const [toSqlite, toRedis, toPostgres, toTransaction] = blocks('diff') as [string, string, string, string]

/** Replaces lines, and adds some after others. Every line that is there already has to be found, in this order. */
function patch (code: string, diff: string): string {
  const lines = code.split('\n')
  let at = 0
  for (const line of diff.trimEnd().split('\n')) {
    const [sign, rest] = [line[0], line.slice(1)]
    if (sign === '+') lines.splice(at++, 0, rest)
    else {
      at = lines.indexOf(rest, at)
      if (at === -1) throw new Error(`docs/queues.md changes a line that is not there: ${rest}`)
      if (sign === '-') lines.splice(at, 1)
      else at++
    }
  }
  return lines.join('\n')
}

const onSqlite = patch(files.get('app.js')!, toSqlite)
const onRedis = patch(onSqlite, toRedis)
const onPostgres = patch(onSqlite, toPostgres)

/** A folder like that of somebody who uses the package. */
function project (t: Test, app: string): string {
  const folder = t.testdir({ node_modules: { '@sinclair': {} } })
  for (const name of ['@sinclair/typebox', 'close-with-grace', 'fastify', 'pg']) symlinkSync(join(root, 'node_modules', name), join(folder, 'node_modules', name), 'junction')
  symlinkSync(root, join(folder, 'node_modules/fastify-background-tasks'), 'junction')
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  for (const [name, code] of files) writeFileSync(join(folder, name!), code)
  writeFileSync(join(folder, 'app.js'), app)
  return folder
}

const NODE_OPTIONS = `${process.env.NODE_OPTIONS ?? ''} --disable-warning=ExperimentalWarning`

/** Runs files of a folder. */
function runner (t: Test, folder: string, env: NodeJS.ProcessEnv = {}): (file: string, ...args: string[]) => Child {
  return (file, ...args) => new Child(t, file, args, { PORT: '0', NODE_OPTIONS, ...env }, folder)
}

async function addressOf (server: Child): Promise<string> {
  const [, address] = await server.line(/Server listening at (http:\/\/127\.0\.0\.1:\d+)/)
  return address!
}

async function post (url: string, body: object, headers: Record<string, string> = {}): Promise<Response> {
  return await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) })
}

const isMail = /^mail "Welcome" to (\S+)$/

async function mailOf (process: Child): Promise<string> {
  const [, to] = await process.line(isMail)
  return to!
}

/** Signs a user up, and kills the server: the worker, which starts then, sends the mail. */
async function outlivesTheServer (t: Test, run: ReturnType<typeof runner>): Promise<void> {
  const server = run('server.js')
  const { status } = await post(`${await addressOf(server)}/users`, { email: 'ada@example.org' })
  t.equal(status, 201)
  await server.kill()
  t.notOk(server.lines.some(line => isMail.test(line)), 'the server sends no mail')

  const worker = run('worker.js')
  t.equal(await mailOf(worker), 'ada@example.org')
  worker.terminate()
  t.strictSame(await worker.exit, { code: 0, signal: null })
}

await t.test('every snippet has a name, and there are as many changes as are tested', async t => {
  t.notOk(files.has(undefined))
  t.equal(files.size, blocks('js').length)
  t.equal(blocks('diff').length, 4)
  const tested = ['app', 'both', 'enqueue', 'escalate', 'health', 'mail', 'my-queue.test', 'orders', 'schedule', 'server', 'status', 'transaction', 'versions', 'worker']
  t.strictSame([...files.keys()].sort(), tested.map(name => `${name}.js`))
})

void t.test('after the response', { buffered: true }, async t => {
  const server = runner(t, project(t, files.get('app.js')!))('server.js')
  t.equal((await post(`${await addressOf(server)}/users`, { email: 'ada@example.org' })).status, 201)
  t.equal(await mailOf(server), 'ada@example.org')
})

void t.test('an adapter of one\'s own', { buffered: true }, async t => {
  const child = runner(t, project(t, onSqlite))('my-queue.test.js')
  t.strictSame(await child.exit, { code: 0, signal: null }, { lines: child.lines })
  t.match(child.lines.join('\n'), /^# fail 0$/m)
})

void t.test('on SQLite', { buffered: true }, async t => {
  const run = runner(t, project(t, onSqlite))

  await t.test('a job outlives the server', t => outlivesTheServer(t, run))

  await t.test('the command', async t => {
    const [, file] = /npx fastify-background-tasks worker (\S+)\n/.exec(text)!
    const worker = run(join(root, 'dist/lib/cli/index.js'), 'worker', file!)
    const server = run('server.js')
    await post(`${await addressOf(server)}/users`, { email: 'grace@example.org' })
    t.equal(await mailOf(worker), 'grace@example.org')
    worker.terminate()
    t.strictSame(await worker.exit, { code: 0, signal: null })
  })

  await t.test('both in one process', async t => {
    const both = run('both.js')
    await post(`${await addressOf(both)}/users`, { email: 'alan@example.org' })
    t.equal(await mailOf(both), 'alan@example.org')
  })

  await t.test('health.js', async t => {
    const response = await fetch(`${await addressOf(run('health.js'))}/health`)
    t.equal(response.status, 200)
    t.strictSame(await response.json(), { ok: true }, 'strangers learn no more')
  })

  const prints = {
    'enqueue.js': ['false true true', '2'],
    'status.js': ['scheduled 0', 'cancelled', 'finished', 'null'],
    'schedule.js': ['true'],
    'escalate.js': ['escalated', 'user 42 notified'],
    'versions.js': []
  }
  for (const [file, expected] of Object.entries(prints)) {
    await t.test(file, async t => {
      const child = run(file)
      t.strictSame(await child.exit, { code: 0, signal: null }, { lines: child.lines })
      t.strictSame(child.lines.filter(line => !line.startsWith('{')), expected)
    })
  }
})

void t.test('on Redis', { skip: skipWithoutRedisServer, buffered: true }, async t => {
  const redis = new RedisServer(t, '--appendonly', 'yes')
  await redis.start()
  const run = runner(t, project(t, onRedis), { REDIS_URL: redis.path })

  await t.test('a job outlives the server', t => outlivesTheServer(t, run))

  await t.test('a client tries again, with the same key', async t => {
    const url = `${await addressOf(run('orders.js'))}/orders`
    const headers = { 'idempotency-key': 'order-7', authorization: 'Bearer secret-of-ada' }
    t.equal((await post(url, { order: 7 })).status, 401)
    t.equal((await post(url, { order: 7 }, { authorization: headers.authorization })).status, 400)
    const taken = await post(url, { order: 7 }, headers)
    t.equal(taken.status, 202)
    const { taskId } = await taken.json() as { taskId: string }
    const others = await post(url, { order: 8 }, { ...headers, authorization: 'Bearer secret-of-eve' })
    t.equal(others.status, 202)
    t.notSame(await others.json(), { taskId }, 'the same key of another user is another key')

    await redis.kill()
    const refused = await post(url, { order: 7 }, headers)
    t.equal(refused.status, 503)
    t.equal(refused.headers.get('retry-after'), '5')
    t.match(await refused.json(), { code: 'FST_ERR_BGT_QUEUE_UNAVAILABLE' })

    await redis.start()
    let again = await post(url, { order: 7 }, headers)
    while (again.status === 503) again = await post(url, { order: 7 }, headers)
    t.equal(again.status, 202)
    t.strictSame(await again.json(), { taskId }, 'it is the same job')
  })
})

void t.test('on PostgreSQL', { buffered: true }, async t => {
  const server = await sharedPostgres(t)
  const name = `fbt_docs_${randomBytes(6).toString('hex')}`
  await query(server, `create database ${name}`)
  t.teardown(() => query(server, `drop database ${name} with (force)`))
  // Not `new URL`: that of a socket has no host.
  const env = { DATABASE_URL: server.replace(/^(\w+:\/\/[^/?]*)[^?]*/, `$1/${name}`) }

  await t.test('a job outlives the server', t => outlivesTheServer(t, runner(t, project(t, onPostgres), env)))

  await t.test('a job of a transaction exists if that commits', async t => {
    for (const statement of blocks('sql')) await query(env.DATABASE_URL, statement)
    const folder = project(t, patch(onPostgres, toTransaction))
    const run = runner(t, folder, env)
    const address = await addressOf(run('server.js'))
    const statuses = []
    for (const email of ['ada@example.org', 'ada@example.org', 'alan@example.org']) {
      statuses.push((await post(`${address}/users`, { email })).status)
    }
    t.strictSame(statuses, [201, 500, 201])
    const [jobs] = await query<{ count: string }>(env.DATABASE_URL, "select count(*) from pgboss.job where name = 'default' and state < 'active'")
    t.equal(jobs!.count, '2')
    const worker = run('worker.js')
    await worker.line(/^mail "Welcome" to ada@example.org$/)
    await worker.line(/^mail "Welcome" to alan@example.org$/)
  })
})

void t.test('the table of capabilities is true', async t => {
  const adapters = [sqlite({ file: join(t.testdir(), 'jobs.db') }), pgBoss(), bullmq({ connection: 'redis://127.0.0.1:1' }), memory()]
  const [header, , ...rows] = tableAfter('### What each can do')
  t.strictSame(header!.slice(1), adapters.map(({ name }) => name))
  const said = rows.map(([capability, ...values]) => [/`(\w+)`/.exec(capability!)?.[1], ...values])
  const is = Object.keys(adapters[0]!.capabilities).map(capability => [
    capability, ...adapters.map(({ capabilities }) => inWords(capabilities[capability as keyof typeof capabilities]))
  ])
  t.strictSame(said, is)
})

function tableAfter (heading: string): string[][] {
  const [, table] = /\n\n(\|[^]*?)\n\n/.exec(text.slice(text.indexOf(heading)))!
  return table!.split('\n').map(row => row.split('|').slice(1, -1).map(cell => cell.trim()))
}

function inWords (value: unknown): string {
  if (typeof value === 'boolean') return value ? 'yes' : 'no'
  return typeof value === 'string' ? value : `${(value as { max: number }).max}`
}

void t.test('links lead to files that exist, and to headings', async t => {
  const headings = Array.from(text.matchAll(/^#+ (.*)$/gm), ([, heading]) => heading!.toLowerCase().replaceAll(' ', '-'))
  for (const [, target = ''] of text.matchAll(/\]\(([^)]+)\)/g)) {
    if (target.startsWith('#')) t.ok(headings.includes(target.slice(1)), target)
    else t.doesNotThrow(() => readFileSync(join(root, 'docs', target.replace(/#.*/, ''))), target)
  }
})
