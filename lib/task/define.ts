import { type TInteger, type TOptional, type TSchema, Type } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import type {
  Capabilities, EscalationCause, PayloadInput, PayloadOutput, PayloadSchema, Task, TaskContext, TaskDefinition,
  TaskOptions
} from '../../types/index.ts'
import { check, type Checker, count, oneOf } from '../check.ts'
import { brief, FST_ERR_BGT_INVALID_TASK } from '../errors.ts'
import { capabilities } from './capability.ts'
import { refuseGenerator } from './function.ts'
import { payloadParser } from './payload.ts'
import { inFull, taskName, taskOptions } from './settings.ts'

/** On a defined task. Registered, so that two installed copies of this package know each other's tasks. */
const kTask: unique symbol = Symbol.for('fastify-background-tasks.task')

export const queueName: TSchema =
  Type.String({ pattern: '^[A-Za-z0-9_-]{1,64}$', expected: 'Expected 1 to 64 letters, digits, "-" and "_"' })

export const priority: TOptional<TInteger> = Type.Optional(Type.Integer({ minimum: 1, maximum: 100 }))

const definition: Checker = TypeCompiler.Compile(Type.Object({
  ...taskOptions,
  name: taskName,
  payload: Type.Optional(Type.Unknown()),
  escalate: Type.Optional(Type.Array(oneOf<EscalationCause>(['overflow', 'shutdown', 'failure']))),
  queue: Type.Optional(queueName),
  priority,
  version: count(1),
  requires: Type.Optional(Type.Array(oneOf(capabilities))),
  run: Type.Function([], Type.Unknown())
}, { additionalProperties: false }))

class DefinedTask implements Task {
  readonly [kTask] = true
  readonly name: string
  readonly options: Readonly<TaskOptions>
  readonly escalate: readonly EscalationCause[]
  readonly queue: string
  readonly priority: number
  readonly version: number
  readonly requires: readonly (keyof Capabilities)[]
  readonly run: (payload: unknown, context: TaskContext) => unknown
  readonly parse: (payload: unknown) => unknown

  constructor (given: TaskDefinition<PayloadSchema>) {
    const {
      name, payload, escalate = [], queue = 'default', priority = 50, version = 1, requires = [], run, ...options
    } = given
    this.name = name
    this.options = Object.freeze(options)
    this.escalate = Object.freeze([...escalate])
    this.queue = queue
    this.priority = priority
    this.version = version
    this.requires = Object.freeze([...requires])
    this.run = run
    this.parse = payloadParser(name, payload)
    Object.freeze(this)
  }
}

/**
 * Defines a task once, for `add` and for a queue alike.
 *
 * @throws FST_ERR_BGT_INVALID_OPTIONS, FST_ERR_BGT_INVALID_TASK for a payload schema of an unknown kind.
 */
export function defineTask<S extends PayloadSchema | undefined = undefined> (
  given: TaskDefinition<S>
): Task<PayloadInput<S>, PayloadOutput<S>> {
  if (typeof given !== 'object' || given === null) {
    throw new FST_ERR_BGT_INVALID_TASK(`defineTask expects an object with name and run, got ${brief(given)}`)
  }
  const full = inFull(given)
  check(definition, 'task', full)
  refuseGenerator(full.run)
  return new DefinedTask(full as TaskDefinition<PayloadSchema>) as Task<PayloadInput<S>, PayloadOutput<S>>
}

export function isTask (value: unknown): value is Task {
  return typeof value === 'object' && value !== null && kTask in value
}
