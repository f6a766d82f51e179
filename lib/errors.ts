import createError from '@fastify/error'

type Coded<Arguments extends unknown[]> = createError.FastifyErrorConstructor<{ code: string }, [...Arguments, { cause: unknown }?]>

function coded<Arguments extends unknown[]> (code: string, message: string, statusCode = 500): Coded<Arguments> {
  return createError(`FST_ERR_BGT_${code}`, message, statusCode)
}

export const FST_ERR_BGT_INVALID_OPTIONS: Coded<[where: string, problem: string]> =
  coded('INVALID_OPTIONS', 'Invalid %s: %s')
export const FST_ERR_BGT_ALREADY_REGISTERED: Coded<[]> =
  coded('ALREADY_REGISTERED', 'fastify-background-tasks is already registered here: register it once, or in sibling scopes')
export const FST_ERR_BGT_TOO_EARLY: Coded<[]> =
  coded('TOO_EARLY', 'request.backgroundTasks was read in an onRequest hook that runs before this plugin\'s: "await app.register(backgroundTasks)" before adding that hook')
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
export const FST_ERR_BGT_OVERFLOW: Coded<[name: string, maxPending: number]> =
  coded('OVERFLOW', 'No room for task "%s": %d tasks are pending, which is the option "maxPending"', 503)
export const FST_ERR_BGT_TIMEOUT: Coded<[name: string, timeout: number]> =
  coded('TIMEOUT', 'Task "%s" took longer than %d ms')
export const FST_ERR_BGT_CANCELLED: Coded<[name: string]> =
  coded('CANCELLED', 'Task "%s" was cancelled')
export const FST_ERR_BGT_SHUTDOWN: Coded<[name: string, drainTimeout: number]> =
  coded('SHUTDOWN', 'Task "%s" had not ended %d ms (drainTimeout) after the server closed')
export const FST_ERR_BGT_CLOSED: Coded<[name: string]> =
  coded('CLOSED', 'Task "%s" was added after the server had closed', 503)
export const FST_ERR_BGT_NON_ERROR: Coded<[name: string, thrown: string]> =
  coded('NON_ERROR', 'Task "%s" threw a value that is not an Error: %s')
export const FST_ERR_BGT_IDLE_TIMEOUT: Coded<[timeout: number, pending: number, running: number]> =
  coded('IDLE_TIMEOUT', 'Not idle after %d ms: %d tasks pending, %d running')
