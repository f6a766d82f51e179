import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type { CancelReason, Ending, LossReason } from './outcome.ts'

/** The task that a hook is told about. */
export interface TaskEvent {
  /** UUID, the same as the handle's and the context's; in a worker the job's. */
  readonly id: string
  /** The defined task's, the one in the options of `add`, or the function's. */
  readonly name: string
  /** The attempt that starts or has ended, 1 for the first. 0 for a task that never started. */
  readonly attempt: number
  /** `request.id`, or `undefined` outside of a request. In a worker that of the request that enqueued. */
  readonly requestId: string | undefined
  /** The request's logger, or the instance's outside of a request and in a worker. */
  readonly log: FastifyBaseLogger
  /**
   * The payload of a defined task, else `undefined`. As `run` receives it; but as it was given, before
   * the validator has changed it, in a worker and for a task that may escalate.
   */
  readonly payload: unknown
}

/**
 * Hooks observe: they are not awaited, and one that throws or rejects is logged and changes nothing.
 * `close()` waits for those still under way, until 1,400 ms after `drainTimeout` at the latest. In a worker,
 * none of `onTaskSkipped`, `onTaskEscalated` and `onTaskLost` is called.
 */
export interface TaskHooks {
  /** Before each attempt. */
  onTaskStart?: (event: TaskEvent) => unknown
  /** The task has completed. `result` is what it returned, `duration` the ms since its last attempt began. */
  onTaskCompleted?: (event: TaskEvent & { readonly result: unknown, readonly duration: number }) => unknown
  /** After the last attempt has failed. `duration` is the ms since that attempt began. */
  onTaskFailed?: (event: TaskEvent & { readonly error: Error, readonly duration: number }) => unknown
  /** After an attempt has failed that will be followed by another, `delay` ms later. */
  onTaskRetry?: (event: TaskEvent & { readonly error: Error, readonly delay: number }) => unknown
  /** The task does not run, as its request ended otherwise than `when` says: `reason` is how. */
  onTaskSkipped?: (event: TaskEvent & { readonly reason: Ending }) => unknown
  /**
   * The task was cancelled: before it started, or while it ran and then threw. `error` is the coded error of the
   * cancel, or what the task threw; `duration` is the ms since the attempt began, `undefined` where none had.
   */
  onTaskCancelled?: (event: TaskEvent & {
    readonly reason: CancelReason
    readonly error: Error
    readonly duration?: number
  }) => unknown
  /** The queue has stored the task as a job with the same `id`, and a worker runs it. */
  onTaskEscalated?: (event: TaskEvent) => unknown
  /**
   * The last place to save a task that this process will not run. An `add` in it that would be lost at once throws
   * FST_ERR_BGT_CLOSED or FST_ERR_BGT_OVERFLOW, as the hook would be called for it again.
   */
  onTaskLost?: (event: TaskEvent & { readonly reason: LossReason, readonly error: Error }) => unknown
}

/** The hooks of the plugin: of every task, and of the application's start and end. */
export interface Hooks extends TaskHooks {
  /**
   * Awaited before the server takes requests, and before a worker takes jobs; `enqueue` works already.
   * `app` is the instance that the plugin is registered on. If the hook throws, the application does not start.
   */
  onStartup?: (app: FastifyInstance) => unknown
  /**
   * Awaited after the last task has ended and before other plugins close; `enqueue` still works. Not
   * called where `onStartup` was not reached or has thrown. If it throws, that is logged, and closing goes on.
   */
  onShutdown?: (app: FastifyInstance) => unknown
}
