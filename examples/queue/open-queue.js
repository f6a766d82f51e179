// Where the examples keep their jobs: in an SQLite file, or with QUEUE=bullmq in Redis (REDIS_URL), or with
// QUEUE=pg-boss in PostgreSQL (DATABASE_URL). Under a new name each time, and removed at the end, also where the
// example fails or is stopped.
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import closeWithGrace from 'close-with-grace'

const {
  QUEUE = 'sqlite',
  REDIS_URL = 'redis://127.0.0.1:6379',
  DATABASE_URL = 'postgres://postgres@127.0.0.1:5432/postgres'
} = process.env

/** `adapter` for the plugin, `name` of what it uses, `remove()` for after `app.close()`. */
export async function openQueue (options = {}, engine = QUEUE) {
  const { remove, ...queue } = await { sqlite: openSqlite, bullmq: openBullmq, 'pg-boss': openPgBoss }[engine](options)
  let removed
  const removeOnce = () => (removed ??= remove())
  closeWithGrace(async ({ err }) => {
    if (err) console.error(err)
    await removeOnce()
  })
  return { ...queue, remove: removeOnce }
}

async function openSqlite (options) {
  const { sqlite } = await import('fastify-background-tasks/sqlite')
  const folder = mkdtempSync(join(tmpdir(), 'queue-example-'))
  const name = join(folder, 'jobs.db')
  const remove = async () => rmSync(folder, { recursive: true, force: true })
  return { name, adapter: sqlite({ file: name, ...options }), remove }
}

async function openBullmq (options) {
  const { bullmq } = await import('fastify-background-tasks/bullmq')
  const name = newName()
  return { name, adapter: bullmq({ connection: REDIS_URL, prefix: name, ...options }), remove: () => removeKeys(name) }
}

async function openPgBoss (options) {
  const { pgBoss } = await import('fastify-background-tasks/pg-boss')
  const name = newName()
  const adapter = pgBoss({ connection: DATABASE_URL, schema: name, ...options })
  return { name, adapter, remove: () => dropSchema(name) }
}

function newName () {
  return `queue_example_${randomBytes(6).toString('hex')}`
}

async function removeKeys (prefix) {
  const { Redis } = await import('ioredis')
  const client = new Redis(REDIS_URL)
  for await (const keys of client.scanStream({ match: `${prefix}:*` })) {
    if (keys.length > 0) await client.unlink(keys)
  }
  await client.quit()
}

async function dropSchema (schema) {
  const { default: { Client } } = await import('pg')
  const client = new Client(DATABASE_URL)
  await client.connect()
  await client.query(`drop schema if exists ${schema} cascade`)
  await client.end()
}
