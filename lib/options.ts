import { type TSchema, Type } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import type { BackgroundTasksOptions, QueueAdapter, TracePropagation } from '../types/index.ts'
import { check, type Checker, count, MAX_TIMER, ms, oneOf, withDefaults } from './check.ts'
import { FST_ERR_BGT_NO_ADAPTER } from './errors.ts'
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
  hooks: Type.Optional(Type.Object({ ...taskHooks, onStartup: hook, onShutdown: hook }, { ...strict, default: {} }))
}

const schema = Type.Object(properties, strict)

const checker: Checker = TypeCompiler.Compile(schema)

/** Options that the registry, or a completed object, replaces. */
type Resolved = 'tasks' | 'when' | 'timeout' | 'status'

/** Options of `register` itself, which Fastify hands to the plugin too. */
type Fastifys = Record<'prefix' | 'logLevel' | 'logSerializers', unknown>

/** All that is known of an application once the plugin is registered on it. */
export interface Options extends Readonly<Required<Omit<BackgroundTasksOptions, 'adapter' | 'trace' | Resolved>>> {
  readonly adapter: QueueAdapter | undefined
  readonly trace: TracePropagation | undefined
  readonly status: { readonly max: number, readonly ttl: number }
  readonly registry: Registry
}

/**
 * Checks the options of the plugin and completes them; the only place that does.
 *
 * @throws FST_ERR_BGT_INVALID_OPTIONS, FST_ERR_BGT_NO_ADAPTER, FST_ERR_BGT_NO_CAPABILITY, FST_ERR_BGT_DUPLICATE_TASK
 */
export function resolveOptions (given: BackgroundTasksOptions): Options {
  const { prefix, logLevel, logSerializers, ...own } = given as BackgroundTasksOptions & Fastifys
  check(checker, 'options', own)
  const { tasks, when, timeout, ...options } = withDefaults<BackgroundTasksOptions>(schema, own)
  if (options.overflow === 'escalate' && options.adapter === undefined) {
    throw new FST_ERR_BGT_NO_ADAPTER('The option overflow: "escalate"')
  }
  const defaults = { when, timeout, retry: undefined, hooks: undefined, task: undefined }
  const registry = new Registry(tasks, defaults, options.adapter)
  return Object.freeze({ ...options, status: withDefaults(status, options.status ?? {}), registry })
}
