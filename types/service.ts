import type { Stats, TaskHandle } from './outcome.ts'
import type { AddOptions, Task, TaskContext, TaskOptions } from './task.ts'

/** Optional where the task takes no payload. */
type PayloadArguments<Input> = undefined extends Input
  ? [payload?: Input, options?: TaskOptions]
  : [payload: Input, options?: TaskOptions]

export interface Add {
  /**
   * Collects a task. The task keeps the AsyncLocalStorage context of this call.
   *
   * @throws FST_ERR_BGT_INVALID_TASK, FST_ERR_BGT_INVALID_OPTIONS, FST_ERR_BGT_INVALID_PAYLOAD,
   * FST_ERR_BGT_TASK_NOT_REGISTERED, and with `overflow: 'reject'` FST_ERR_BGT_OVERFLOW. What was
   * added before stays added.
   */
  <Input>(task: Task<Input>, ...payload: PayloadArguments<Input>): TaskHandle
  /** Calls `fn` with exactly these arguments. */
  <Arguments extends unknown[]>(fn: (...args: Arguments) => unknown, ...args: Arguments): TaskHandle
  (options: AddOptions, fn: (context: TaskContext) => unknown): TaskHandle
}

/** `request.backgroundTasks`: tasks run one after the other, in the order they were added, once the response is over. */
export interface RequestBackgroundTasks {
  add: Add
}

/** `app.backgroundTasks`: tasks without a request. Each runs as soon as there is room, independently of the others. */
export interface BackgroundTasks {
  add: Add
  /**
   * Resolves when nothing is pending or running, the tasks of requests under way included.
   *
   * @throws FST_ERR_BGT_IDLE_TIMEOUT after `timeout` ms. Default: no limit.
   */
  idle (options?: { timeout?: number }): Promise<void>
  stats (): Stats
}
