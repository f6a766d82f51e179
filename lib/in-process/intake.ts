import type { FastifyBaseLogger } from 'fastify'
import type { Task, TaskContext } from '../../types/index.ts'
import { brief, FST_ERR_BGT_INVALID_TASK, FST_ERR_BGT_OVERFLOW } from '../errors.ts'
import type { Origin } from '../queue/jobs.ts'
import { isTask } from '../task/define.ts'
import { nameOf, refuseGenerator } from '../task/function.ts'
import type { Registry } from '../task/registry.ts'
import {
  readAddOptions, readTaskOptions, resolveTaskOptions, taskOptions, type TaskSettings
} from '../task/settings.ts'
import { isThenable } from '../thenable.ts'
import { AddedTask, type Form, type UserFunction } from './added-task.ts'
import type { Dispatcher } from './dispatcher.ts'
import type { Escalation } from './escalation.ts'
import { Lane } from './lane.ts'

type TaskLane = Lane<AddedTask>

const RUNS_ALREADY =
  'add expects a function, got a promise, whose work has begun: add(() => work()) begins it after the response'

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
  /** Called at each `add` from half of `maxPending` on. Set before the first. */
  onCrowded!: () => void

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
      if (rest.length === 1 && areOptions(rest[0]) && first.length === 0) throw misplaced(rest[0])
      refuseGenerator(first)
      const { defaults } = this.#limits.registry
      return this.#take(lane, nameOf(first), defaults, 'arguments', first as UserFunction, rest)
    }
    if (isTask(first)) return this.#addTask(lane, first, rest, request)
    if (isThenable(first)) throw new FST_ERR_BGT_INVALID_TASK(RUNS_ALREADY)
    if (typeof first === 'object' && first !== null) return this.#addWithOptions(lane, first, rest[0])
    throw new FST_ERR_BGT_INVALID_TASK(
      `add expects a function, options and a function, or a task made by defineTask, got ${brief(first)}`)
  }

  #addTask (lane: TaskLane, task: Task, [payload, options]: unknown[], request: Origin | undefined): AddedTask {
    let settings: TaskSettings = this.#limits.registry.settingsOf(task)
    if (options !== undefined) settings = resolveTaskOptions(readTaskOptions(options), settings)
    const parsed: unknown = task.parse(payload)
    if (!this.#escalation.mayTake(task)) return this.#take(lane, task.name, settings, 'payload', task.run, parsed)
    this.#escalation.prepare(lane, task, payload, request)
    // The queue gets the payload as it came, and parses it again.
    const run: UserFunction = parsed === payload
      ? task.run
      : (raw, context: TaskContext) => task.run(task.parse(raw), context)
    return this.#take(lane, task.name, settings, 'payload', run, payload)
  }

  #addWithOptions (lane: TaskLane, given: object, run: unknown): AddedTask {
    const options = readAddOptions(given)
    if (typeof run !== 'function') {
      throw new FST_ERR_BGT_INVALID_TASK(`add expects a function after the options, got ${brief(run)}`)
    }
    refuseGenerator(run)
    const name = options.name ?? nameOf(run)
    const settings = resolveTaskOptions(options, this.#limits.registry.defaults)
    return this.#take(lane, name, settings, 'context', run as UserFunction, undefined)
  }

  #take (
    lane: TaskLane, name: string, settings: TaskSettings, form: Form, run: UserFunction, input: unknown
  ): AddedTask {
    const { maxPending, overflow } = this.#limits
    const { waiting } = this.#dispatcher
    if (2 * waiting >= maxPending) this.onCrowded()
    const isFull = waiting >= maxPending
    // As many again may be on their way to the queue.
    const leaves = isFull && waiting < 2 * maxPending && this.#escalation.takes(settings, 'overflow')
    if (isFull && !leaves && overflow !== 'drop') throw new FST_ERR_BGT_OVERFLOW(name, waiting, maxPending)
    const task = new AddedTask(lane, name, settings, form, run, input)
    if (!isFull) this.#dispatcher.add(task)
    else if (leaves) this.#dispatcher.hold(task, overflowed(name, waiting, maxPending))
    else this.#dispatcher.drop(task, overflowed(name, waiting, maxPending))
    return task
  }
}

/** By names that nobody gives the properties of an argument by chance. */
function areOptions (argument: unknown): argument is object {
  if (typeof argument !== 'object' || argument === null) return false
  try {
    const isUnmistakable = 'retry' in argument || 'when' in argument || 'hooks' in argument
    return isUnmistakable && Object.keys(argument).every(key => key === 'name' || key in taskOptions)
  } catch {
    return false
  }
}

/** A function without parameters cannot mean options as its argument. */
function misplaced (options: object): Error {
  const names = Object.keys(options).join(', ')
  return new FST_ERR_BGT_INVALID_TASK(`add expects options before the function: add({ ${names} }, fn)`)
}

/**
 * Has no stack, where Node lets us: that would cost more than all else about a dropped task, and there may be
 * thousands a second. With --frozen-intrinsics it does not.
 */
function overflowed (name: string, pending: number, maxPending: number): Error {
  const { stackTraceLimit } = Error
  const isSet = Reflect.set(Error, 'stackTraceLimit', 0)
  const error = new FST_ERR_BGT_OVERFLOW(name, pending, maxPending)
  if (isSet) Reflect.set(Error, 'stackTraceLimit', stackTraceLimit)
  return error
}
