import type { FastifyInstance } from 'fastify'
import type { Worker, WorkerOptions } from '../../types/index.ts'
import { FST_ERR_BGT_NOT_REGISTERED } from '../errors.ts'

/**
 * Boots an application without listening, and runs the jobs of its queue until it is closed: with the
 * same plugins, resources and task definitions as the server has.
 *
 * Rejects where the application does not boot, and with FST_ERR_BGT_NOT_REGISTERED, FST_ERR_BGT_NO_ADAPTER,
 * FST_ERR_BGT_INVALID_OPTIONS.
 */
export async function startWorker (app: FastifyInstance, options: WorkerOptions = {}): Promise<Worker> {
  await app.ready()
  if (!app.hasDecorator('backgroundTasks')) throw new FST_ERR_BGT_NOT_REGISTERED()
  return await app.backgroundTasks.work(options)
}
