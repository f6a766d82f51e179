import Fastify from 'fastify'
import backgroundTasks from '../../dist/lib/index.js'

export async function makeApp (adapter, task) {
  const app = Fastify()
  await app.register(backgroundTasks, { adapter, tasks: [task], enqueueTimeout: 30_000 })
  return app
}
