import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { Type } from '@sinclair/typebox'
import Fastify from 'fastify'
import backgroundTasks, { defineTask } from 'fastify-background-tasks'

const factories = {
  sqlite: async options => (await import('fastify-background-tasks/sqlite')).sqlite(options),
  bullmq: async options => (await import('fastify-background-tasks/bullmq')).bullmq(options),
  'pg-boss': async options => (await import('fastify-background-tasks/pg-boss')).pgBoss(options)
}

export const given = JSON.parse(process.argv[2])

/** A line that is there even if this process is killed right after, with the true time. */
export function note (file, line) {
  const at = Math.round(performance.timeOrigin + performance.now())
  appendFileSync(join(given.folder, file), JSON.stringify({ pid: process.pid, at, ...line }) + '\n')
}

export const task = defineTask({
  name: 'mail',
  version: given.version,
  payload: Type.Object({ job: Type.String(), version: Type.Integer(), takes: Type.Integer(), fails: Type.Boolean() }),
  retry: { attempts: 10, delay: 100 },
  async run ({ job, version, takes, fails }, { id, attempt }) {
    const run = { job, id, attempt, version, by: given.version }
    note('runs', { ...run, what: 'started' })
    await setTimeout(takes)
    const what = fails && attempt === 1 ? 'failed' : 'completed'
    note('runs', { ...run, what })
    if (what === 'failed') throw new Error('the first attempt fails')
  }
})

/** What a job is like, but for its name. */
export function drawPayload (dice) {
  return { version: given.version, takes: dice.chance(0.05) ? 1_000 : dice.below(60), fails: dice.chance(0.05) }
}

export async function makeApp () {
  const { engine, options, folder, name } = given
  const app = Fastify({ logger: { level: 'warn', file: join(folder, `${name}.log`) } })
  await app.register(backgroundTasks, { adapter: await factories[engine](options), tasks: [task] })
  const leave = () => process.exit(1)
  process.once('disconnect', leave)
  process.once('SIGTERM', async () => {
    await app.close()
    process.off('disconnect', leave)
    process.disconnect()
  })
  return app
}
