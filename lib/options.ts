import { type TLiteral, type TSchema, type TUnion, Type } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import type { BackgroundTasksOptions, RetryOptions, Task, TaskHooks, TaskOptions, When, WorkerOptions } from '../types/index.ts'
import { check, type Checker, MAX_TIMER, ms, withDefaults } from './check.ts'
import { FST_ERR_BGT_NO_ADAPTER } from './errors.ts'

const DAY = 86_400_000
const YEAR = 365 * DAY

const strict = { additionalProperties: false }
const hook = Type.Optional(Type.Function([], Type.Unknown()))

function oneOf (values: string[], byDefault?: string): TUnion<TLiteral<string>[]> {
  return Type.Union(values.map(value => Type.Literal(value)), {
    expected: `Expected one of ${values.join(', ')}`,
    ...(byDefault !== undefined && { default: byDefault })
  })
}

const when = ['success', 'error', 'always']

const retry = Type.Object({
  attempts: Type.Optional(Type.Integer({ minimum: 1, maximum: 100, default: 3 })),
  delay: ms(DAY, 1_000),
  backoff: Type.Optional(oneOf(['fixed', 'exponential'], 'exponential')),
  maxDelay: ms(DAY, 300_000),
  jitter: Type.Optional(Type.Number({ minimum: 0, maximum: 1, default: 0.2 }))
}, strict)

const taskHooks = {
  onTaskStart: hook,
  onTaskSuccess: hook,
  onTaskError: hook,
  onTaskRetry: hook,
  onTaskSkipped: hook,
  onTaskLost: hook
}

const taskOptions = {
  when: Type.Optional(oneOf(when)),
  timeout: ms(MAX_TIMER),
  retry: Type.Optional(retry),
  hooks: Type.Optional(Type.Object(taskHooks, strict))
}

const taskName = Type.String({ minLength: 1, maxLength: 128 })
const queueName = Type.String({ pattern: '^[A-Za-z0-9_-]{1,64}$', expected: 'Expected 1 to 64 letters, digits, "-" and "_"' })
const priority = Type.Optional(Type.Integer({ minimum: 1, maximum: 100 }))

const jobOptions = { delay: ms(YEAR), priority, tx: Type.Optional(Type.Unknown()) }

function count (minimum: number, byDefault?: number): TSchema {
  return Type.Optional(Type.Integer({ minimum, ...(byDefault !== undefined && { default: byDefault }) }))
}

/** Its methods may be inherited, and it may have more than we ask for. */
const adapter = Type.Object({
  name: Type.String(),
  capabilities: Type.Object({}),
  ...Object.fromEntries(['start', 'enqueue', 'work', 'health', 'close'].map(name => [name, Type.Function([], Type.Unknown())]))
})

const status = Type.Object({ max: count(0, 10_000), ttl: ms(MAX_TIMER, 3_600_000) }, strict)

const trace = Type.Object({ inject: hook, extract: hook }, strict)

const pluginOptions = Type.Object({
  concurrency: count(1, 100),
  maxPending: count(1, 10_000),
  overflow: Type.Optional(oneOf(['reject', 'drop', 'escalate'], 'reject')),
  timeout: ms(MAX_TIMER, 30_000),
  when: Type.Optional(oneOf(when, 'success')),
  drainTimeout: ms(MAX_TIMER, 10_000),
  abortGrace: ms(MAX_TIMER, 5_000),
  tasks: Type.Optional(Type.Array(Type.Unknown(), { default: [] })),
  adapter: Type.Optional(adapter),
  enqueueTimeout: Type.Optional(Type.Number({ minimum: 1, maximum: MAX_TIMER, default: 5_000 })),
  maxPayload: count(1, 262_144),
  status: Type.Optional(status),
  trace: Type.Optional(trace),
  hooks: Type.Optional(Type.Object({ ...taskHooks, onStartup: hook, onShutdown: hook }, { ...strict, default: {} }))
}, strict)

const unknownTasks = Type.Object({ delay: ms(DAY, 15_000), grace: ms(YEAR, 3_600_000) }, strict)

const workerOptions = Type.Object({
  queues: Type.Optional(Type.Array(queueName, { minItems: 1 })),
  concurrency: count(1, 10),
  drainTimeout: ms(MAX_TIMER),
  unknown: Type.Optional(unknownTasks)
}, strict)

type Kind = 'plugin' | 'definition' | 'add' | 'task' | 'idle' | 'enqueue' | 'enqueueMany' | 'schedule' | 'worker'

const checkers: Record<Kind, Checker> = {
  plugin: TypeCompiler.Compile(pluginOptions),
  definition: TypeCompiler.Compile(Type.Object({
    ...taskOptions,
    name: taskName,
    payload: Type.Optional(Type.Unknown()),
    escalate: Type.Optional(Type.Array(oneOf(['overflow', 'shutdown', 'failure']))),
    queue: Type.Optional(queueName),
    priority,
    version: count(1),
    requires: Type.Optional(Type.Array(oneOf(['delay', 'priority', 'dedupe', 'retry', 'result', 'cancelPending', 'transactional', 'durable', 'schedule', 'batch']))),
    run: Type.Function([], Type.Unknown())
  }, strict)),
  add: TypeCompiler.Compile(Type.Object({ ...taskOptions, name: Type.Optional(taskName) }, strict)),
  task: TypeCompiler.Compile(Type.Object(taskOptions, strict)),
  idle: TypeCompiler.Compile(Type.Object({ timeout: ms(MAX_TIMER) }, strict)),
  enqueue: TypeCompiler.Compile(Type.Object({ ...jobOptions, key: Type.Optional(Type.String({ minLength: 1, maxLength: 512 })) }, strict)),
  enqueueMany: TypeCompiler.Compile(Type.Object(jobOptions, strict)),
  schedule: TypeCompiler.Compile(Type.Object({
    cron: Type.String({ minLength: 1 }),
    timezone: Type.Optional(Type.String({ minLength: 1 })),
    payload: Type.Optional(Type.Unknown()),
    name: Type.Optional(taskName)
  }, strict)),
  worker: TypeCompiler.Compile(workerOptions)
}

/** @throws FST_ERR_BGT_INVALID_OPTIONS with the path, what was expected and what came. */
export function checkOptions (kind: Kind, where: string, options: unknown): void {
  check(checkers[kind], where, options)
}

/** What is settled about a task before it runs. */
export interface TaskSettings {
  when: When
  timeout: number
  retry: Required<RetryOptions> | undefined
  hooks: TaskHooks | undefined
  /** The definition, of a defined task. */
  task: Task | undefined
}

export function resolveTaskOptions ({ when, timeout, retry: given, hooks }: TaskOptions, defaults: TaskSettings): TaskSettings {
  return {
    when: when ?? defaults.when,
    timeout: timeout ?? defaults.timeout,
    retry: given === undefined ? defaults.retry : withDefaults(retry, given),
    hooks: hooks ?? defaults.hooks,
    task: defaults.task
  }
}

type Nullable = 'adapter' | 'trace'

export type ResolvedOptions = Required<Omit<BackgroundTasksOptions, Nullable | 'status'>> & {
  [Key in Nullable]: BackgroundTasksOptions[Key] | undefined
} & { status: { max: number, ttl: number } }

/** Checks the options of the plugin and fills in the defaults; the only place that does. */
export function resolveOptions (options: Record<string, unknown>): ResolvedOptions {
  // Fastify hands `register`'s own options to the plugin too.
  const { prefix, logLevel, logSerializers, ...own } = options
  checkOptions('plugin', 'options', own)
  const resolved = withDefaults<BackgroundTasksOptions>(pluginOptions, own)
  if (resolved.overflow === 'escalate' && resolved.adapter === undefined) throw new FST_ERR_BGT_NO_ADAPTER('The option overflow: "escalate"')
  return { ...resolved, status: withDefaults(status, resolved.status ?? {}) }
}

export interface ResolvedWorkerOptions {
  queues: readonly string[]
  concurrency: number
  drainTimeout: number
  unknown: { delay: number, grace: number }
}

export function resolveWorkerOptions (options: WorkerOptions, defaults: { queues: readonly string[], drainTimeout: number }): ResolvedWorkerOptions {
  checkOptions('worker', 'options', options)
  const resolved = withDefaults(workerOptions, { ...defaults, ...options })
  return { ...resolved, unknown: withDefaults(unknownTasks, resolved.unknown ?? {}) }
}
