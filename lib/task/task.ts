import type { Capabilities, EscalationCause, PayloadInput, PayloadOutput, PayloadSchema, QueueAdapter, Task, TaskContext, TaskDefinition, TaskOptions } from '../../types/index.ts'
import { brief, FST_ERR_BGT_DUPLICATE_TASK, FST_ERR_BGT_INVALID_OPTIONS, FST_ERR_BGT_INVALID_TASK, FST_ERR_BGT_NO_ADAPTER, FST_ERR_BGT_NO_CAPABILITY, FST_ERR_BGT_TASK_NOT_REGISTERED } from '../errors.ts'
import { kTask } from '../fastify/symbols.ts'
import { checkOptions, resolveTaskOptions, type TaskSettings } from '../options.ts'
import { payloadParser } from './payload.ts'

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

  constructor ({ name, payload, escalate = [], queue = 'default', priority = 50, version = 1, requires = [], run, ...options }: TaskDefinition<PayloadSchema>) {
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
export function defineTask<S extends PayloadSchema | undefined = undefined> (definition: TaskDefinition<S>): Task<PayloadInput<S>, PayloadOutput<S>> {
  if (typeof definition !== 'object' || definition === null) {
    throw new FST_ERR_BGT_INVALID_TASK(`defineTask expects an object with name and run, got ${brief(definition)}`)
  }
  checkOptions('definition', 'task', definition)
  return new DefinedTask(definition as TaskDefinition<PayloadSchema>) as Task<PayloadInput<S>, PayloadOutput<S>>
}

export function isTask (value: unknown): value is Task {
  return typeof value === 'object' && value !== null && kTask in value
}

export interface Registered {
  readonly task: Task
  /** Resolved against the plugin's defaults. */
  readonly settings: TaskSettings
}

export type Registry = ReadonlyMap<string, Registered>

/** The registered tasks by name. */
export function registerTasks (tasks: readonly unknown[], defaults: TaskSettings, adapter: QueueAdapter | undefined): Registry {
  const registry = new Map<string, Registered>()
  for (const [index, task] of tasks.entries()) {
    if (!isTask(task)) throw new FST_ERR_BGT_INVALID_OPTIONS(`options/tasks/${index}`, `Expected a task made by defineTask, got ${brief(task)}`)
    if (registry.has(task.name)) throw new FST_ERR_BGT_DUPLICATE_TASK(task.name)
    checkCapabilities(task, adapter)
    registry.set(task.name, { task, settings: resolveTaskOptions(task.options, { ...defaults, task }) })
  }
  return registry
}

function checkCapabilities (task: Task, adapter: QueueAdapter | undefined): void {
  const requires = [...task.requires]
  if (task.escalate.includes('shutdown')) requires.push('durable')
  if (task.escalate.length > 0 && task.options.retry !== undefined) requires.push('retry')
  if (adapter === undefined) {
    if (task.escalate.length > 0) throw new FST_ERR_BGT_NO_ADAPTER(`"escalate" of task "${task.name}"`)
    if (requires.length > 0) throw new FST_ERR_BGT_NO_ADAPTER(`"requires" of task "${task.name}"`)
    return
  }
  for (const capability of requires) requireCapability(adapter, capability, `Task "${task.name}"`)
}

/** @throws FST_ERR_BGT_NO_CAPABILITY */
export function requireCapability ({ name, capabilities }: QueueAdapter, capability: keyof Capabilities, what: string): void {
  const has = capabilities[capability]
  if (has === false || has === 'none') throw new FST_ERR_BGT_NO_CAPABILITY(what, capability, name)
}

/** @throws FST_ERR_BGT_INVALID_TASK, FST_ERR_BGT_TASK_NOT_REGISTERED also where another task is registered under the name. */
export function settingsOf (registry: Registry, task: unknown): TaskSettings {
  if (!isTask(task)) throw new FST_ERR_BGT_INVALID_TASK(`expected one made by defineTask, got ${brief(task)}`)
  const entry = registry.get(task.name)
  if (entry?.task !== task) throw new FST_ERR_BGT_TASK_NOT_REGISTERED(task.name)
  return entry.settings
}
