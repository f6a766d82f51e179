// Without the engines: every subpath can be imported, and starting says what to install.
import assert from 'node:assert/strict'
import Fastify from 'fastify'
import backgroundTasks from 'fastify-background-tasks'
import { bullmq } from 'fastify-background-tasks/bullmq'
import { conformance } from 'fastify-background-tasks/conformance'
import { memory } from 'fastify-background-tasks/memory'
import { pgBoss } from 'fastify-background-tasks/pg-boss'
import { sqlite } from 'fastify-background-tasks/sqlite'

assert.equal(typeof conformance, 'function')

async function start (adapter) {
  const app = Fastify()
  try {
    await app.register(backgroundTasks, { adapter })
    await app.ready()
  } finally {
    await app.close()
  }
}

await start(memory())
const missing = [
  [bullmq({ connection: 'redis://127.0.0.1:6379' }), 'The adapter "bullmq" needs the package "bullmq": npm install bullmq'],
  [pgBoss({ connection: 'postgres://127.0.0.1/test' }), /^The adapter "pg-boss" needs the package "pg(-boss)?": npm install pg(-boss)?$/]
]
const [major, minor] = process.versions.node.split('.').map(Number)
if (major < 22 || (major === 22 && minor < 13)) missing.push([sqlite({ file: 'queue.db' }), /^The adapter "sqlite" needs the package "libsql.*": npm install libsql/])
for (const [adapter, message] of missing) {
  await assert.rejects(start(adapter), { code: 'FST_ERR_BGT_MISSING_PEER', message })
}
