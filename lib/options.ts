import { type TObject, type TSchema, Type } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import type { BackgroundTasksOptions, Hooks, QueueAdapter, TracePropagation } from '../types/index.ts'
import { check, type Checker, count, isAlmost, MAX_TIMER, ms, oneOf, withDefaults } from './check.ts'
import { FST_ERR_BGT_INVALID_OPTIONS, FST_ERR_BGT_NO_ADAPTER } from './errors.ts'
import { Registry } from './task/registry.ts'
import { endings, hook, taskHooks } from './task/settings.ts'

const strict = { additionalProperties: false }

const method = Type.Function([], Type.Unknown())

/** Its methods may be inherited, and it may have more than we ask for. */
const adapter = Type.Object({
  name: Type.String(),
  capabilities: Type.Object({}),
  start: method,
  enqueue: method,
  work: method,
  health: method,
  close: method
})

const status = Type.Object({ max: count(0, 10_000), ttl: ms(MAX_TIMER, 3_600_000) }, strict)

const trace = Type.Object({ inject: hook, extract: hook }, strict)

/** tsc knows a name that is missing here, or too many. */
const hooks: Record<keyof Hooks, typeof hook> = { ...taskHooks, onStartup: hook, onShutdown: hook }

const properties: Record<keyof BackgroundTasksOptions, TSchema> = {
  concurrency: count(1, 100),
  maxPending: count(1, 10_000),
  overflow: Type.Optional(oneOf(['reject', 'drop', 'escalate'], 'reject')),
  timeout: ms(MAX_TIMER, 30_000),
  when: Type.Optional(oneOf(endings, 'success')),
  drainTimeout: ms(MAX_TIMER, 8_000),
  abortGrace: ms(MAX_TIMER, 60_000),
  tasks: Type.Optional(Type.Array(Type.Unknown(), { default: [] })),
  adapter: Type.Optional(adapter),
  enqueueTimeout: Type.Optional(Type.Number({ minimum: 1, maximum: MAX_TIMER, default: 5_000 })),
  maxPayload: count(1, 262_144),
  status: Type.Optional(status),
  trace: Type.Optional(trace),
  hooks: Type.Optional(Type.Object(hooks, { ...strict, default: {} }))
}

export const optionsSchema: TObject = Type.Object(properties, strict)

const checker: Checker = TypeCompiler.Compile(optionsSchema)

/** Options that the registry, or a completed object, replaces. */
type Resolved = 'tasks' | 'when' | 'timeout' | 'status'

/** All that is known of an application once the plugin is registered on it. */
export interface Options extends Readonly<Required<Omit<BackgroundTasksOptions, 'adapter' | 'trace' | Resolved>>> {
  readonly adapter: QueueAdapter | undefined
  readonly trace: TracePropagation | undefined
  readonly status: { readonly max: number, readonly ttl: number }
  readonly registry: Registry
}

/**
 * Leaves out what others are told with the same object, as @fastify/autoload hands the application's options to
 * each plugin. A name that is almost one of ours is an error.
 */
function ownOptions (given: BackgroundTasksOptions): BackgroundTasksOptions {
  const known = Object.keys(properties)
  const unknown = Object.keys(given).filter(name => !known.includes(name))
  for (const name of unknown) {
    const meant = known.find(other => isAlmost(name, other))
    if (meant === undefined) continue
    throw new FST_ERR_BGT_INVALID_OPTIONS('options', `Unknown option "${name}". Did you mean "${meant}"?`)
  }
  return Object.fromEntries(Object.entries(given).filter(([name]) => known.includes(name)))
}

/**
 * Checks the options of the plugin and completes them; the only place that does.
 *
 * @throws FST_ERR_BGT_INVALID_OPTIONS, FST_ERR_BGT_NO_ADAPTER, FST_ERR_BGT_NO_CAPABILITY, FST_ERR_BGT_DUPLICATE_TASK
 */
export function resolveOptions (given: BackgroundTasksOptions): Options {
  const own = ownOptions(given)
  check(checker, 'options', own)
  const { tasks, when, timeout, ...options } = withDefaults<BackgroundTasksOptions>(optionsSchema, own)
  if (options.overflow === 'escalate' && options.adapter === undefined) {
    throw new FST_ERR_BGT_NO_ADAPTER('The option overflow: "escalate"')
  }
  const defaults = { when, timeout, retry: undefined, hooks: undefined, task: undefined, owner: undefined }
  const registry = new Registry(tasks, defaults, options.adapter)
  return Object.freeze({ ...options, status: withDefaults(status, options.status ?? {}), registry })
}
