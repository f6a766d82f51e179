import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type { Ending, LossReason } from './outcome.ts'

export interface TaskEvent {
  readonly id: string
  readonly name: string
  /** 0 for a task that never started. */
  readonly attempt: number
  readonly requestId: string | undefined
  /** The request's logger, or the instance's outside of a request. */
  readonly log: FastifyBaseLogger
  /** The payload of a defined task, else `undefined`. */
  readonly payload: unknown
}

/**
 * Hooks observe: they are not awaited, and one that throws or rejects is logged and changes nothing.
 * `close()` waits for those still under way, for 1,000 ms at the most.
 */
export interface TaskHooks {
  /** Before each attempt. */
  onTaskStart?: (event: TaskEvent) => unknown
  onTaskSuccess?: (event: TaskEvent & { readonly result: unknown, readonly duration: number }) => unknown
  /** After the last attempt has failed. */
  onTaskError?: (event: TaskEvent & { readonly error: Error, readonly duration: number }) => unknown
  /** After an attempt has failed that will be followed by another, `delay` ms later. */
  onTaskRetry?: (event: TaskEvent & { readonly error: Error, readonly delay: number }) => unknown
  onTaskSkipped?: (event: TaskEvent & { readonly reason: Ending }) => unknown
  /** The last place to save a task that this process will not run. */
  onTaskLost?: (event: TaskEvent & { readonly reason: LossReason, readonly error: Error }) => unknown
}

export interface Hooks extends TaskHooks {
  /** Awaited before the server takes requests. If it throws, the server does not start. */
  onStartup?: (app: FastifyInstance) => unknown
  /**
   * Awaited after the last task has ended and before other plugins close. Not called where `onStartup`
   * was not reached. If it throws, that is logged, and closing goes on.
   */
  onShutdown?: (app: FastifyInstance) => unknown
}
