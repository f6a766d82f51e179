import { inspect } from 'node:util'
import { isNativeError } from 'node:util/types'
import createError from '@fastify/error'

type Coded<Arguments extends unknown[]> =
  createError.FastifyErrorConstructor<{ code: string }, [...Arguments, { cause: unknown }?]>

function coded<Arguments extends unknown[]> (code: string, message: string, statusCode = 500): Coded<Arguments> {
  return createError(`FST_ERR_BGT_${code}`, message, statusCode)
}

export const FST_ERR_BGT_INVALID_OPTIONS: Coded<[where: string, problem: string]> =
  coded('INVALID_OPTIONS', 'Invalid %s: %s')
export const FST_ERR_BGT_ALREADY_REGISTERED: Coded<[]> =
  coded('ALREADY_REGISTERED',
    'fastify-background-tasks is already registered here: register it once, or in sibling scopes')
export const FST_ERR_BGT_TOO_EARLY: Coded<[]> =
  coded('TOO_EARLY', 'request.backgroundTasks was read in an onRequest hook that runs before this plugin\'s: ' +
    '"await app.register(backgroundTasks)" before adding that hook')
export const FST_ERR_BGT_INVALID_TASK: Coded<[problem: string]> =
  coded('INVALID_TASK', 'Invalid task: %s')
export const FST_ERR_BGT_DUPLICATE_TASK: Coded<[name: string]> =
  coded('DUPLICATE_TASK', 'Two tasks are named "%s": give each its own name, and list it once in the option "tasks"')
export const FST_ERR_BGT_TASK_NOT_REGISTERED: Coded<[name: string]> =
  coded('TASK_NOT_REGISTERED', 'The task "%s" is not registered: add it to the plugin\'s option "tasks"')
export const FST_ERR_BGT_INVALID_PAYLOAD: Coded<[name: string, problems: string]> =
  coded('INVALID_PAYLOAD', 'The payload of task "%s" does not fit its schema: %s')
export const FST_ERR_BGT_NO_ADAPTER: Coded<[what: string]> =
  coded('NO_ADAPTER', '%s needs a queue adapter, and none is configured')
export const FST_ERR_BGT_OVERFLOW: Coded<[name: string, pending: number, maxPending: number]> =
  coded('OVERFLOW', 'No room for task "%s": %d tasks are pending, and the option "maxPending" is %d', 503)
export const FST_ERR_BGT_TIMEOUT: Coded<[name: string, timeout: number]> =
  coded('TIMEOUT', 'Task "%s" took longer than %d ms')
export const FST_ERR_BGT_CANCELLED: Coded<[name: string]> =
  coded('CANCELLED', 'Task "%s" was cancelled')
export const FST_ERR_BGT_SHUTDOWN: Coded<[name: string, what: 'started' | 'ended', drainTimeout: number]> =
  coded('SHUTDOWN', 'Task "%s" had not %s %d ms (drainTimeout) after the server closed')
export const FST_ERR_BGT_CLOSED: Coded<[name: string]> =
  coded('CLOSED', 'Task "%s" was added after the server had closed', 503)
export const FST_ERR_BGT_NON_ERROR: Coded<[name: string, thrown: string]> =
  coded('NON_ERROR', 'Task "%s" threw a value that is not an Error: %s')
export const FST_ERR_BGT_IDLE_TIMEOUT: Coded<[timeout: number, pending: number, running: number]> =
  coded('IDLE_TIMEOUT', 'Not idle after %d ms: %d tasks pending, %d running')
export const FST_ERR_BGT_MISSING_PEER: Coded<[adapter: string, name: string, name: string]> =
  coded('MISSING_PEER', 'The adapter "%s" needs the package "%s": npm install %s')
export const FST_ERR_BGT_NO_CAPABILITY: Coded<[what: string, capability: string, adapter: string]> =
  coded('NO_CAPABILITY', '%s needs an adapter with the capability "%s", which "%s" does not have')
export const FST_ERR_BGT_QUEUE_UNAVAILABLE: Coded<[adapter: string, problem: string]> =
  coded('QUEUE_UNAVAILABLE', 'The queue behind "%s" did not answer: %s', 503)
export const FST_ERR_BGT_PAYLOAD_TOO_LARGE: Coded<[name: string, size: number, maxPayload: number]> =
  coded('PAYLOAD_TOO_LARGE',
    'The payload of task "%s" has %d bytes as JSON, and the option "maxPayload" is %d: enqueue an id instead', 413)
export const FST_ERR_BGT_UNKNOWN_TASK: Coded<[name: string, version: number, problem: string]> =
  coded('UNKNOWN_TASK', 'This worker cannot run task "%s" in version %d: %s')
export const FST_ERR_BGT_INVALID_JOB: Coded<[id: string, queue: string, problem: string]> =
  coded('INVALID_JOB', 'The job %s in queue "%s" is not as fastify-background-tasks stores jobs: %s')
export const FST_ERR_BGT_STALLED: Coded<[name: string, times: number]> =
  coded('STALLED', 'Task "%s" was given up: %d workers in a row died, or lost the job, while they ran it')
export const FST_ERR_BGT_NOT_READY: Coded<[what: string]> =
  coded('NOT_READY', '%s before the queue has been started: "await app.ready()" first', 503)
export const FST_ERR_BGT_NOT_REGISTERED: Coded<[]> =
  coded('NOT_REGISTERED',
    'A worker needs an application that has registered fastify-background-tasks on its root instance')
export const FST_ERR_BGT_INVALID_APP: Coded<[file: string, problem: string]> =
  coded('INVALID_APP', '%s has to export by default a Fastify instance that does not listen, a plugin ' +
    '"(app, options)", or a function without parameters that returns an instance: %s')
export const FST_ERR_BGT_NEWER_SCHEMA: Coded<[adapter: string, found: number, known: number]> =
  coded('NEWER_SCHEMA', 'The tables of the adapter "%s" have schema version %d, and this release knows versions ' +
    'up to %d: update fastify-background-tasks')
export const FST_ERR_BGT_TASK_NOT_FOUND: Coded<[]> =
  coded('TASK_NOT_FOUND',
    'No task with this id is known here: check the id, and how long tasks are kept after their end', 404)
export const FST_ERR_BGT_TOO_MANY_LOOKUPS: Coded<[]> =
  coded('TOO_MANY_LOOKUPS', 'Too many ask for the status of tasks at once: ask again later', 503)
export const FST_ERR_BGT_TASK_ENDED: Coded<[]> =
  coded('TASK_ENDED', 'The task has ended already, and cannot be cancelled any more', 409)

/** One line about a value of any kind. Of an object only the kind is told: an option may hold a password. */
export function brief (value: unknown, depth = -1): string {
  try {
    return inspect(value, { depth, maxStringLength: 60, breakLength: Infinity })
  } catch {
    return 'a value that throws when it is read'
  }
}

/** Anything can be thrown; an outcome has an Error. */
export function toError (name: string, thrown: unknown): Error {
  try {
    // instanceof alone does not know the errors of another realm (vm, Jest).
    if (thrown instanceof Error || isNativeError(thrown)) return thrown
  } catch {
    // A proxy, whose prototype cannot be asked for.
  }
  return new FST_ERR_BGT_NON_ERROR(name, brief(thrown, 0), { cause: thrown })
}
