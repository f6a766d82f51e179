import type { FastifyInstance } from 'fastify'
import { FST_ERR_BGT_INVALID_APP } from '../errors.ts'
import { startWorker } from '../fastify/start-worker.ts'
import { loadApplication } from './application.ts'
import type { WorkCommand } from './command.ts'
import { complain } from './complaint.ts'
import { HealthServer } from './health-server.ts'
import type { Host } from './host.ts'
import { Shutdown } from './shutdown.ts'

/** ms that jobs get to end, until a worker has started and says otherwise. */
const DRAIN_TIMEOUT = 8_000

/** Runs the worker of an application until it is told to end. Resolves with the exit code. */
export async function work (command: WorkCommand, host: Host): Promise<number> {
  try {
    const { app } = await loadApplication(command.file)
    return await serve(app, command, host)
  } catch (error) {
    return fail(host, error)
  }
}

/** Does the same for an application that is loaded already. */
export async function serve (app: FastifyInstance, command: WorkCommand, host: Host): Promise<number> {
  const { file, worker: options, health, logLevel } = command
  // Fastify's logger that is switched off has no level.
  if (logLevel !== undefined && app.log.level !== undefined) app.log.level = logLevel
  const shutdown = new Shutdown(host, app.log, options.drainTimeout ?? DRAIN_TIMEOUT)
  const healthServer = new HealthServer(app)
  try {
    if (health !== undefined) await healthServer.listen(health)
    await app.ready()
    if (app.server.listening) {
      throw new FST_ERR_BGT_INVALID_APP(file, 'its application listens: call listen in another file')
    }
    const worker = await startWorker(app, options)
    shutdown.drainTimeout = worker.drainTimeout
    healthServer.working(worker)
  } catch (error) {
    shutdown.request(fail(host, error))
  }
  await shutdown.requested
  healthServer.closing()
  try {
    await app.close()
  } catch (error) {
    shutdown.request(fail(host, error))
  }
  healthServer.close()
  shutdown.end()
  return shutdown.code
}

/** Writes to stderr, as the application may have no logger, or have got no further than its first line. */
function fail (host: Host, error: unknown): 1 {
  host.stderr.write(complain(error))
  return 1
}
