import type { FastifyRequest } from 'fastify'
import type { Task, TaskContext, TaskOptions } from '../../types/index.ts'
import { brief, FST_ERR_BGT_INVALID_TASK, FST_ERR_BGT_OVERFLOW } from '../errors.ts'
import { checkJson } from '../json.ts'
import { checkOptions, resolveTaskOptions, type ResolvedOptions, type TaskSettings } from '../options.ts'
import type { Queue } from '../queue/queue.ts'
import { type Form, Handle, type UserFunction } from '../run/handle.ts'
import { isTask, type Registry, settingsOf } from '../task/task.ts'
import type { Dispatcher } from './dispatcher.ts'
import type { Lane } from './lane.ts'

/** Turns the arguments of `add`, in all three forms, into a handle, or throws before anything is kept. */
export class Intake {
  readonly dispatcher: Dispatcher
  readonly queue: Queue
  readonly #registry: Registry
  readonly #defaults: TaskSettings
  readonly #options: ResolvedOptions

  constructor (dispatcher: Dispatcher, queue: Queue, registry: Registry, defaults: TaskSettings, options: ResolvedOptions) {
    this.dispatcher = dispatcher
    this.queue = queue
    this.#registry = registry
    this.#defaults = defaults
    this.#options = options
  }

  add (lane: Lane, first: unknown, rest: unknown[], request?: FastifyRequest): Handle {
    if (typeof first === 'function') {
      return this.#take(lane, first.name || 'anonymous', this.#defaults, 'arguments', first as UserFunction, rest)
    }
    if (isTask(first)) return this.#addTask(lane, first, rest, request)
    if (typeof first === 'object' && first !== null) return this.#addWithOptions(lane, first, rest[0])
    throw new FST_ERR_BGT_INVALID_TASK(`add expects a function, options and a function, or a task made by defineTask, got ${brief(first)}`)
  }

  #addTask (lane: Lane, task: Task, [payload, options]: unknown[], request: FastifyRequest | undefined): Handle {
    let settings = settingsOf(this.#registry, task)
    if (options !== undefined) {
      checkOptions('task', 'options', options)
      settings = resolveTaskOptions(options as TaskOptions, settings)
    }
    const parsed: unknown = task.parse(payload)
    if (!this.#mayEscalate(task)) return this.#take(lane, task.name, settings, 'payload', task.run, parsed)
    checkJson(task.name, payload, this.#options.maxPayload)
    if (request !== undefined) this.queue.escalation!.remember(lane, request)
    // The queue gets the payload as it came, and parses it again.
    const run: UserFunction = parsed === payload ? task.run : (raw, context: TaskContext) => task.run(task.parse(raw), context)
    return this.#take(lane, task.name, settings, 'payload', run, payload)
  }

  #mayEscalate (task: Task): boolean {
    return task.escalate.length > 0 || this.#options.overflow === 'escalate'
  }

  #addWithOptions (lane: Lane, options: TaskOptions & { name?: string }, run: unknown): Handle {
    checkOptions('add', 'options', options)
    if (typeof run !== 'function') throw new FST_ERR_BGT_INVALID_TASK(`add expects a function after the options, got ${brief(run)}`)
    const name = options.name ?? (run.name || 'anonymous')
    return this.#take(lane, name, resolveTaskOptions(options, this.#defaults), 'context', run as UserFunction, undefined)
  }

  #take (lane: Lane, name: string, settings: TaskSettings, form: Form, run: UserFunction, input: unknown): Handle {
    const { dispatcher } = this
    const { maxPending, overflow } = this.#options
    const { waiting } = dispatcher.accounts
    const isFull = waiting >= maxPending
    if (isFull && overflow !== 'drop') {
      // As many again may be on their way to the queue.
      const limit = dispatcher.wants(settings, 'overflow') ? 2 * maxPending : maxPending
      if (waiting >= limit) throw new FST_ERR_BGT_OVERFLOW(name, limit)
    }
    const handle = new Handle(lane, name, settings, form, run, input)
    dispatcher.add(handle, isFull ? overflowed(name, maxPending) : undefined)
    return handle
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
