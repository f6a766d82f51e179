import type { QueueAdapter, Task } from '../../types/index.ts'
import {
  brief, FST_ERR_BGT_DUPLICATE_TASK, FST_ERR_BGT_INVALID_OPTIONS, FST_ERR_BGT_INVALID_TASK,
  FST_ERR_BGT_TASK_NOT_REGISTERED
} from '../errors.ts'
import { checkCapabilities } from './capability.ts'
import { isTask } from './define.ts'
import { resolveTaskOptions, type TaskSettings } from './settings.ts'

export interface DefinedSettings extends TaskSettings {
  readonly task: Task
}

/** The tasks of an application by name, each with its settings; and the settings of functions without a definition. */
export class Registry {
  readonly defaults: TaskSettings
  readonly #settings = new Map<string, DefinedSettings>()

  /**
   * @throws FST_ERR_BGT_INVALID_OPTIONS, FST_ERR_BGT_DUPLICATE_TASK, FST_ERR_BGT_NO_ADAPTER,
   * FST_ERR_BGT_NO_CAPABILITY
   */
  constructor (tasks: readonly unknown[], defaults: TaskSettings, adapter: QueueAdapter | undefined) {
    this.defaults = defaults
    for (const [index, task] of tasks.entries()) this.#register(task, index, adapter)
  }

  /** The queues that its tasks go to. */
  get queues (): string[] {
    return [...new Set(Array.from(this.#settings.values(), ({ task }) => task.queue))]
  }

  get (name: string): DefinedSettings | undefined {
    return this.#settings.get(name)
  }

  /**
   * @throws FST_ERR_BGT_INVALID_TASK
   * @throws FST_ERR_BGT_TASK_NOT_REGISTERED also where another task is registered under the name.
   */
  settingsOf (task: unknown): DefinedSettings {
    if (!isTask(task)) throw new FST_ERR_BGT_INVALID_TASK(`expected one made by defineTask, got ${brief(task)}`)
    const settings = this.#settings.get(task.name)
    if (settings?.task !== task) throw new FST_ERR_BGT_TASK_NOT_REGISTERED(task.name)
    return settings
  }

  #register (task: unknown, index: number, adapter: QueueAdapter | undefined): void {
    if (!isTask(task)) {
      const problem = `Expected a task made by defineTask, got ${brief(task)}`
      throw new FST_ERR_BGT_INVALID_OPTIONS(`options/tasks/${index}`, problem)
    }
    if (this.#settings.has(task.name)) throw new FST_ERR_BGT_DUPLICATE_TASK(task.name)
    checkCapabilities(task, adapter)
    this.#settings.set(task.name, resolveTaskOptions(task.options, { ...this.defaults, task }) as DefinedSettings)
  }
}
