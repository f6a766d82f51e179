import { type TFunction, type TOptional, type TSchema, Type } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import type { RetryOptions, Task, TaskHooks, TaskOptions, When } from '../../types/index.ts'
import { check, type Checker, MAX_TIMER, ms, oneOf, withDefaults } from '../check.ts'

const DAY = 86_400_000

const strict = { additionalProperties: false }

export const hook: TOptional<TFunction> = Type.Optional(Type.Function([], Type.Unknown()))

/** The hooks of a task. Types know a name that is missing here, or too many. */
export const taskHooks: Record<keyof TaskHooks, typeof hook> = {
  onTaskStart: hook,
  onTaskSuccess: hook,
  onTaskError: hook,
  onTaskRetry: hook,
  onTaskSkipped: hook,
  onTaskLost: hook
}

export const hookNames = Object.keys(taskHooks) as readonly (keyof TaskHooks)[]

export const endings: readonly When[] = ['success', 'error', 'always']

const retry = Type.Object({
  attempts: Type.Optional(Type.Integer({ minimum: 1, maximum: 100, default: 3 })),
  delay: ms(DAY, 1_000),
  backoff: Type.Optional(oneOf(['fixed', 'exponential'], 'exponential')),
  maxDelay: ms(DAY, 300_000),
  jitter: Type.Optional(Type.Number({ minimum: 0, maximum: 1, default: 0.2 }))
}, strict)

/** What `defineTask` and `add` take alike. */
export const taskOptions: Record<keyof TaskOptions, TSchema> = {
  when: Type.Optional(oneOf(endings)),
  timeout: ms(MAX_TIMER),
  retry: Type.Optional(retry),
  hooks: Type.Optional(Type.Object(taskHooks, strict))
}

export const taskName: TSchema = Type.String({ minLength: 1, maxLength: 128 })

const ofTask: Checker = TypeCompiler.Compile(Type.Object(taskOptions, strict))
const ofFunction: Checker = TypeCompiler.Compile(Type.Object({ ...taskOptions, name: Type.Optional(taskName) }, strict))

/** @throws FST_ERR_BGT_INVALID_OPTIONS */
export function checkTaskOptions (options: unknown): asserts options is TaskOptions {
  check(ofTask, 'options', options)
}

/** @throws FST_ERR_BGT_INVALID_OPTIONS */
export function checkAddOptions (options: unknown): asserts options is TaskOptions & { name?: string } {
  check(ofFunction, 'options', options)
}

/** All that is settled about a task before it runs. */
export interface TaskSettings {
  readonly when: When
  readonly timeout: number
  readonly retry: Required<RetryOptions> | undefined
  readonly hooks: TaskHooks | undefined
  /** The definition, of a defined task. */
  readonly task: Task | undefined
}

/** One shape, written out, as a spread costs several times as much. */
export function resolveTaskOptions (options: TaskOptions, defaults: TaskSettings): TaskSettings {
  return {
    when: options.when ?? defaults.when,
    timeout: options.timeout ?? defaults.timeout,
    retry: options.retry === undefined ? defaults.retry : withDefaults(retry, options.retry),
    hooks: options.hooks ?? defaults.hooks,
    task: defaults.task
  }
}
