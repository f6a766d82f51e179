import { inspect } from 'node:util'
import { type TLiteral, type TObject, type TSchema, type TUnion, Type } from '@sinclair/typebox'
import { type TypeCheck, TypeCompiler } from '@sinclair/typebox/compiler'
import type { BackgroundTasksOptions, RetryOptions, TaskHooks, TaskOptions, When } from '../types/index.ts'
import { FST_ERR_BGT_INVALID_OPTIONS, FST_ERR_BGT_NO_ADAPTER } from './errors.ts'

/** The longest delay that Node's timers keep; above it they fire at once. */
const MAX_TIMER = 2 ** 31 - 1
const DAY = 86_400_000

const strict = { additionalProperties: false }
const hook = Type.Optional(Type.Function([], Type.Unknown()))

function ms (maximum: number, byDefault?: number): TSchema {
  return Type.Optional(Type.Number({ minimum: 0, maximum, ...(byDefault !== undefined && { default: byDefault }) }))
}

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

const pluginOptions = Type.Object({
  concurrency: Type.Optional(Type.Integer({ minimum: 1, default: 100 })),
  maxPending: Type.Optional(Type.Integer({ minimum: 1, default: 10_000 })),
  overflow: Type.Optional(oneOf(['reject', 'drop', 'escalate'], 'reject')),
  timeout: ms(MAX_TIMER, 30_000),
  when: Type.Optional(oneOf(when, 'success')),
  drainTimeout: ms(MAX_TIMER, 10_000),
  abortGrace: ms(MAX_TIMER, 5_000),
  tasks: Type.Optional(Type.Array(Type.Unknown(), { default: [] })),
  hooks: Type.Optional(Type.Object({ ...taskHooks, onStartup: hook, onShutdown: hook }, { ...strict, default: {} }))
}, strict)

type Checker = TypeCheck<TObject>

const checkers: Record<'plugin' | 'definition' | 'add' | 'task' | 'idle', Checker> = {
  plugin: TypeCompiler.Compile(pluginOptions),
  definition: TypeCompiler.Compile(Type.Object({
    ...taskOptions,
    name: taskName,
    payload: Type.Optional(Type.Unknown()),
    escalate: Type.Optional(Type.Array(oneOf(['overflow', 'shutdown', 'failure']))),
    run: Type.Function([], Type.Unknown())
  }, strict)),
  add: TypeCompiler.Compile(Type.Object({ ...taskOptions, name: Type.Optional(taskName) }, strict)),
  task: TypeCompiler.Compile(Type.Object(taskOptions, strict)),
  idle: TypeCompiler.Compile(Type.Object({ timeout: ms(MAX_TIMER) }, strict))
}

/** @throws FST_ERR_BGT_INVALID_OPTIONS with the path, what was expected and what came. */
export function checkOptions (kind: keyof typeof checkers, where: string, options: unknown): void {
  const checker = checkers[kind]
  if (checker.Check(options)) return
  const { path, schema, message, value } = checker.Errors(options).First()!
  throw new FST_ERR_BGT_INVALID_OPTIONS(where + path, `${schema.expected ?? message}, got ${brief(value)}`)
}

function withDefaults<T extends object> ({ properties }: TObject, given: T): Required<T> {
  const entries = Object.entries(properties).map(([key, schema]) => [key, given[key as keyof T] ?? (schema.default as unknown)])
  return Object.fromEntries(entries) as Required<T>
}

/** One line about a value of any kind. */
export function brief (value: unknown): string {
  return inspect(value, { depth: 0, maxStringLength: 60, breakLength: Infinity })
}

/** What is settled about a task before it runs. */
export interface TaskSettings {
  when: When
  timeout: number
  retry: Required<RetryOptions> | undefined
  hooks: TaskHooks | undefined
}

export function resolveTaskOptions ({ when, timeout, retry: given, hooks }: TaskOptions, defaults: TaskSettings): TaskSettings {
  return {
    when: when ?? defaults.when,
    timeout: timeout ?? defaults.timeout,
    retry: given === undefined ? defaults.retry : withDefaults(retry, given),
    hooks: hooks ?? defaults.hooks
  }
}

export type ResolvedOptions = Required<BackgroundTasksOptions>

/** Checks the options of the plugin and fills in the defaults; the only place that does. */
export function resolveOptions (options: Record<string, unknown>): ResolvedOptions {
  // Fastify hands `register`'s own options to the plugin too.
  const { prefix, logLevel, logSerializers, ...own } = options
  checkOptions('plugin', 'options', own)
  const resolved = withDefaults<BackgroundTasksOptions>(pluginOptions, own)
  if (resolved.overflow === 'escalate') throw new FST_ERR_BGT_NO_ADAPTER('The option overflow: "escalate"')
  return resolved
}
