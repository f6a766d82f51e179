import { pathToFileURL } from 'node:url'
import Fastify, { type FastifyInstance, type FastifyPluginCallback, type FastifyServerOptions } from 'fastify'
import fp from 'fastify-plugin'
import { brief, FST_ERR_BGT_INVALID_APP } from '../errors.ts'

interface Module {
  readonly default?: unknown
  readonly options?: FastifyServerOptions | undefined
}

/** Set by fastify-plugin. */
const SKIP_OVERRIDE = Symbol.for('skip-override')

/**
 * Loads the application that a file exports. It comes in an object, as a Fastify instance is a thenable, and
 * to await it is to boot it.
 *
 * Rejects with FST_ERR_BGT_INVALID_APP, and with any error that the file throws.
 */
export async function loadApplication (file: string): Promise<{ app: FastifyInstance }> {
  const module = await load(file)
  const exported = module.default
  if (isInstance(exported)) return { app: exported }
  if (typeof exported !== 'function') {
    const isMissing = exported === undefined
    const problem = isMissing ? 'it exports nothing by default' : `its default export is ${brief(exported)}`
    throw new FST_ERR_BGT_INVALID_APP(file, problem)
  }
  if (isPlugin(exported)) return { app: hostPlugin(exported, module.options) }
  const result = (exported as () => unknown)()
  const app: unknown = isInstance(result) ? result : await result
  if (isInstance(app)) return { app }
  throw new FST_ERR_BGT_INVALID_APP(file, `the function "${exported.name}" returned ${brief(app)}`)
}

async function load (file: string): Promise<Module> {
  try {
    const module = await import(pathToFileURL(file).href) as Module
    const inner = module.default as (Module & { __esModule?: boolean }) | undefined
    // A module that was compiled from ESM to CommonJS has its exports inside.
    if (inner?.__esModule) return inner
    return { default: inner, options: module.options ?? inner?.options }
  } catch (cause) {
    const { code, message } = (cause ?? {}) as Partial<NodeJS.ErrnoException>
    if (code !== 'ERR_UNKNOWN_FILE_EXTENSION') throw cause
    const cure = 'compile it, or load it with NODE_OPTIONS="--import=tsx" or the like'
    throw new FST_ERR_BGT_INVALID_APP(file, `Node.js ${process.version} says "${message}": ${cure}`, { cause })
  }
}

function isInstance (value: unknown): value is FastifyInstance {
  const { ready, close, hasDecorator } = (value ?? {}) as Partial<FastifyInstance>
  return [ready, close, hasDecorator].every(method => typeof method === 'function')
}

function isPlugin (fn: object): fn is FastifyPluginCallback {
  return (fn as FastifyPluginCallback).length > 0 || SKIP_OVERRIDE in fn
}

/** The plugin gets no scope of its own, so that its decorators are seen on the instance. */
function hostPlugin (plugin: FastifyPluginCallback, options: FastifyServerOptions = {}): FastifyInstance {
  const app = Fastify({ logger: true, ...options })
  void app.register(SKIP_OVERRIDE in plugin ? plugin : fp(plugin))
  return app
}
