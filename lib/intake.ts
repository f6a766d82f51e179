import type { Task, TaskOptions } from '../types/index.ts'
import type { Dispatcher } from './dispatcher.ts'
import { FST_ERR_BGT_INVALID_TASK, FST_ERR_BGT_OVERFLOW } from './errors.ts'
import { type Form, Handle, type UserFunction } from './handle.ts'
import type { Lane } from './lane.ts'
import { brief, checkOptions, resolveTaskOptions, type ResolvedOptions, type TaskSettings } from './options.ts'
import { isTask, type Registry, settingsOf } from './task.ts'

/** Turns the arguments of `add`, in all three forms, into a handle, or throws before anything is kept. */
export class Intake {
  readonly dispatcher: Dispatcher
  readonly #registry: Registry
  readonly #defaults: TaskSettings
  readonly #options: ResolvedOptions

  constructor (dispatcher: Dispatcher, registry: Registry, defaults: TaskSettings, options: ResolvedOptions) {
    this.dispatcher = dispatcher
    this.#registry = registry
    this.#defaults = defaults
    this.#options = options
  }

  add (lane: Lane, first: unknown, rest: unknown[]): Handle {
    if (typeof first === 'function') {
      return this.#take(lane, first.name || 'anonymous', this.#defaults, 'arguments', first as UserFunction, rest)
    }
    if (isTask(first)) return this.#addTask(lane, first, rest)
    if (typeof first === 'object' && first !== null) return this.#addWithOptions(lane, first, rest[0])
    throw new FST_ERR_BGT_INVALID_TASK(`add expects a function, options and a function, or a task made by defineTask, got ${brief(first)}`)
  }

  #addTask (lane: Lane, task: Task, [payload, options]: unknown[]): Handle {
    let settings = settingsOf(this.#registry, task)
    if (options !== undefined) {
      checkOptions('task', 'options', options)
      settings = resolveTaskOptions(options as TaskOptions, settings)
    }
    return this.#take(lane, task.name, settings, 'payload', task.run, task.parse(payload))
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
    const isFull = dispatcher.accounts.waiting >= maxPending
    if (isFull && overflow === 'reject') throw new FST_ERR_BGT_OVERFLOW(name, maxPending)
    const handle = new Handle(lane, name, settings, form, run, input)
    dispatcher.add(handle, isFull ? new FST_ERR_BGT_OVERFLOW(name, maxPending) : undefined)
    return handle
  }
}
