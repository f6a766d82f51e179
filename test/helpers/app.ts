import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import type { Test } from 'tap'
import backgroundTasks from '../../lib/index.ts'
import type { BackgroundTasksOptions } from '../../types/index.ts'

/** An app with the plugin, not ready yet, that the end of the test closes. */
export async function makeApp (t: Test, options: BackgroundTasksOptions = {}, server: FastifyServerOptions = {}): Promise<FastifyInstance> {
  const app = Fastify(server)
  t.teardown(() => app.close())
  await app.register(backgroundTasks, options)
  return app
}
