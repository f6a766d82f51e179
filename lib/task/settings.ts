import { type TFunction, type TOptional, type TSchema, type TString, Type } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import type { AddOptions, AddTaskOptions, RetryOptions, Task, TaskHooks, TaskOptions, When } from '../../types/index.ts'
import { check, type Checker, MAX_TIMER, ms, oneOf, withDefaults } from '../check.ts'

const DAY = 86_400_000

const strict = { additionalProperties: false }

export const hook: TOptional<TFunction> = Type.Optional(Type.Function([], Type.Unknown()))

/** The hooks of a task. tsc knows a name that is missing here, or too many. */
export const taskHooks: Record<keyof TaskHooks, typeof hook> = {
  onTaskStart: hook,
  onTaskCompleted: hook,
  onTaskFailed: hook,
  onTaskRetry: hook,
  onTaskSkipped: hook,
  onTaskCancelled: hook,
  onTaskEscalated: hook,
  onTaskLost: hook
}

export const hookNames = Object.keys(taskHooks) as readonly (keyof TaskHooks)[]

/**
 * The hooks as they are now: the object is the user's, may change, and may throw when it is read at the end of a
 * task. They may be methods of its class.
 */
export function copyHooks (hooks: TaskHooks): TaskHooks {
  return Object.fromEntries(hookNames.map(name => [name, hooks[name]]))
}

export const endings: readonly When[] = ['success', 'error', 'always']

const retry = Type.Object({
  attempts: Type.Optional(Type.Integer({ minimum: 1, maximum: 100, default: 3 })),
  delay: ms(DAY, 1_000),
  backoff: Type.Optional(oneOf(['fixed', 'exponential'], 'exponential')),
  maxDelay: ms(DAY, 300_000),
  jitter: Type.Optional(Type.Number({ minimum: 0, maximum: 1, default: 0.2 }))
}, strict)

/** The options that `defineTask` and `add` both take. */
export const taskOptions: Record<keyof TaskOptions, TSchema> = {
  when: Type.Optional(oneOf(endings)),
  timeout: ms(MAX_TIMER),
  retry: Type.Optional(retry),
  hooks: Type.Optional(Type.Object(taskHooks, strict))
}

/** Control characters, and what some take for the end of a line, could write anything on a console that shows logs. */
export const taskName: TSchema = Type.String({
  pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029]{1,128}$',
  expected: 'Expected 1 to 128 characters, none of them a control character'
})

export const owner: TOptional<TString> = Type.Optional(Type.String({ minLength: 1, maxLength: 256 }))

const ofTask: Checker = TypeCompiler.Compile(Type.Object({ ...taskOptions, owner }, strict))
const ofFunction: Checker = TypeCompiler.Compile(Type.Object({ ...taskOptions, name: Type.Optional(taskName) }, strict))

/** The same options, with a `retry` that is a number written out. */
export function inFull<Given> (options: Given): Given {
  const { retry: attempts } = (options ?? {}) as TaskOptions
  return typeof attempts === 'number' ? { ...options, retry: { attempts } } : options
}

/** @throws FST_ERR_BGT_INVALID_OPTIONS */
export function readTaskOptions (given: unknown): AddTaskOptions {
  const options = inFull(given) as AddTaskOptions
  check(ofTask, 'options', options)
  return options
}

/** @throws FST_ERR_BGT_INVALID_OPTIONS */
export function readAddOptions (given: object): AddOptions {
  const options = inFull(given) as AddOptions
  check(ofFunction, 'options', options)
  return options
}

/** All that is known of a task before it runs. */
export interface TaskSettings {
  readonly when: When
  readonly timeout: number
  readonly retry: Required<RetryOptions> | undefined
  readonly hooks: TaskHooks | undefined
  /** The definition, of a defined task. */
  readonly task: Task | undefined
  /** Whom one task belongs to, as `add` was told. */
  readonly owner: string | undefined
}

/** Writes out the one shape, as a spread costs several times as much. */
export function resolveTaskOptions (options: AddTaskOptions, defaults: TaskSettings): TaskSettings {
  return {
    when: options.when ?? defaults.when,
    timeout: options.timeout ?? defaults.timeout,
    retry: options.retry === undefined ? defaults.retry : withDefaults(retry, options.retry as RetryOptions),
    hooks: options.hooks === undefined ? defaults.hooks : copyHooks(options.hooks),
    task: defaults.task,
    owner: options.owner
  }
}
