import type { Hooks } from './hooks.ts'
import type { Task, When } from './task.ts'

export interface BackgroundTasksOptions {
  /** Tasks running at once, over all requests. Whole number from 1. Default 100. */
  concurrency?: number
  /** Tasks waiting, over all requests; those whose response is not over are among them. Whole number from 1. Default 10,000. */
  maxPending?: number
  /**
   * What `add` does once `maxPending` tasks wait. `reject` throws a 503 `FST_ERR_BGT_OVERFLOW`, `drop`
   * records the task as `lost`, `escalate` (needs an adapter) hands a defined task to the queue and
   * rejects others. Default `reject`.
   */
  overflow?: 'reject' | 'drop' | 'escalate'
  /** ms for each attempt of a task that does not say otherwise, 0 to 2,147,483,647; 0 is no limit. Default 30,000. */
  timeout?: number
  /** Default `success`. */
  when?: When
  /** ms that `close()` waits for tasks before it aborts them, 0 to 2,147,483,647. Default 10,000. */
  drainTimeout?: number
  /** ms to wait for a handler to answer after its client has gone, 0 to 2,147,483,647. Default 5,000. */
  abortGrace?: number
  /** The defined tasks that `add` accepts. Names have to differ. Default none. */
  tasks?: readonly Task[]
  hooks?: Hooks
}
