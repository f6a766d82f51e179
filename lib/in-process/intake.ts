import type { FastifyBaseLogger } from 'fastify'
import type { Task, TaskContext, TaskOptions } from '../../types/index.ts'
import { brief, FST_ERR_BGT_INVALID_TASK, FST_ERR_BGT_OVERFLOW } from '../errors.ts'
import type { Origin } from '../queue/jobs.ts'
import { isTask } from '../task/define.ts'
import type { Registry } from '../task/registry.ts'
import { checkAddOptions, checkTaskOptions, resolveTaskOptions, type TaskSettings } from '../task/settings.ts'
import { AddedTask, type Form, type UserFunction } from './added-task.ts'
import type { Dispatcher } from './dispatcher.ts'
import type { Escalation } from './escalation.ts'
import { Lane } from './lane.ts'

type TaskLane = Lane<AddedTask>

interface Limits {
  readonly registry: Registry
  readonly maxPending: number
  readonly overflow: 'reject' | 'drop' | 'escalate'
}

/** Turns the arguments of `add`, in all three forms, into an added task, or throws before anything is kept. */
export class Intake {
  readonly #dispatcher: Dispatcher
  readonly #escalation: Escalation
  readonly #limits: Limits

  constructor (dispatcher: Dispatcher, escalation: Escalation, limits: Limits) {
    this.#dispatcher = dispatcher
    this.#escalation = escalation
    this.#limits = limits
  }

  /** A lane that takes tasks from now on, and runs them once it is released. */
  lane (log: FastifyBaseLogger, requestId?: string): TaskLane {
    return new Lane(this.#dispatcher, log, requestId)
  }

  add (lane: TaskLane, first: unknown, rest: unknown[], request?: Origin): AddedTask {
    if (typeof first === 'function') {
      const { defaults } = this.#limits.registry
      return this.#take(lane, first.name || 'anonymous', defaults, 'arguments', first as UserFunction, rest)
    }
    if (isTask(first)) return this.#addTask(lane, first, rest, request)
    if (typeof first === 'object' && first !== null) return this.#addWithOptions(lane, first, rest[0])
    throw new FST_ERR_BGT_INVALID_TASK(
      `add expects a function, options and a function, or a task made by defineTask, got ${brief(first)}`)
  }

  #addTask (lane: TaskLane, task: Task, [payload, options]: unknown[], request: Origin | undefined): AddedTask {
    let settings: TaskSettings = this.#limits.registry.settingsOf(task)
    if (options !== undefined) {
      checkTaskOptions(options)
      settings = resolveTaskOptions(options, settings)
    }
    const parsed: unknown = task.parse(payload)
    if (!this.#escalation.mayTake(task)) return this.#take(lane, task.name, settings, 'payload', task.run, parsed)
    this.#escalation.prepare(lane, task, payload, request)
    // The queue gets the payload as it came, and parses it again.
    const run: UserFunction = parsed === payload ? task.run : (raw, context: TaskContext) => task.run(task.parse(raw), context)
    return this.#take(lane, task.name, settings, 'payload', run, payload)
  }

  #addWithOptions (lane: TaskLane, options: TaskOptions & { name?: string }, run: unknown): AddedTask {
    checkAddOptions(options)
    if (typeof run !== 'function') throw new FST_ERR_BGT_INVALID_TASK(`add expects a function after the options, got ${brief(run)}`)
    const name = options.name ?? (run.name || 'anonymous')
    const settings = resolveTaskOptions(options, this.#limits.registry.defaults)
    return this.#take(lane, name, settings, 'context', run as UserFunction, undefined)
  }

  #take (lane: TaskLane, name: string, settings: TaskSettings, form: Form, run: UserFunction, input: unknown): AddedTask {
    const { maxPending, overflow } = this.#limits
    const { waiting } = this.#dispatcher
    const isFull = waiting >= maxPending
    if (isFull && overflow !== 'drop') {
      // As many again may be on their way to the queue.
      const limit = this.#escalation.takes(settings, 'overflow') ? 2 * maxPending : maxPending
      if (waiting >= limit) throw new FST_ERR_BGT_OVERFLOW(name, limit)
    }
    const task = new AddedTask(lane, name, settings, form, run, input)
    this.#dispatcher.add(task, isFull ? overflowed(name, maxPending) : undefined)
    return task
  }
}

/** Without a stack, which costs more than all else about a task that is dropped: there may be thousands a second. */
function overflowed (name: string, limit: number): Error {
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 0
  const error = new FST_ERR_BGT_OVERFLOW(name, limit)
  Error.stackTraceLimit = stackTraceLimit
  return error
}
