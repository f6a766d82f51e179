/** `retrying` is waiting for its next attempt; all from `completed` on are final. */
export type TaskState =
  | 'pending' | 'running' | 'retrying'
  | Outcome['state']

/**
 * The end of a task. Each added task gets exactly one. `attempts` counts those that have begun.
 *
 * `error` is always an Error: a thrown value that is none is the `cause` of an
 * `FST_ERR_BGT_NON_ERROR`.
 */
export type Outcome =
  /** An attempt returned. `result` is what it returned or resolved with. */
  | { readonly state: 'completed', readonly attempts: number, readonly result: unknown }
  /** The last attempt threw or took too long (FST_ERR_BGT_TIMEOUT). */
  | { readonly state: 'failed', readonly attempts: number, readonly error: Error }
  /** The request ended otherwise than `when` says: `reason` is how. */
  | { readonly state: 'skipped', readonly attempts: 0, readonly reason: Ending }
  /** `cancel` stopped it. `error` is FST_ERR_BGT_CANCELLED, or what a running task threw after that. */
  | { readonly state: 'cancelled', readonly attempts: number, readonly reason: CancelReason, readonly error: Error }
  /** The queue has it: it is a job from now on, of the same `id`. */
  | { readonly state: 'escalated', readonly attempts: number, readonly id: string }
  /** This process did not run it to its end, and nobody else will. */
  | { readonly state: 'lost', readonly attempts: number, readonly reason: LossReason, readonly error: Error }

/**
 * The end of a request, as `when` asks for it.
 *
 * - `answered`: its handler answered, with any status code.
 * - `errored`: something in it threw.
 * - `unanswered`: the client left, and no answer came within `abortGrace`.
 */
export type Ending = 'answered' | 'errored' | 'unanswered'

/**
 * Why a task was cancelled. `requested`: by `cancel`. `lease`: a worker lost the lease of the job, which another
 * worker runs. The error may be the task's own, such as the AbortError of what it awaited.
 */
export type CancelReason = 'requested' | 'lease'

/**
 * Reason for a task to be lost.
 *
 * - `overflow`: `maxPending` tasks waited. Dropped, or the queue did not take it.
 * - `shutdown`: it had not ended when `drainTimeout` was over.
 * - `closed`: it was added after the drain.
 */
export type LossReason = 'overflow' | 'shutdown' | 'closed'

/** An added task, as `add` returns it. */
export interface TaskHandle {
  /** UUID, made on the first read. From then on `status` knows the task, if it is a defined one. */
  readonly id: string
  /** The defined task's, the one in the options of `add`, or the function's; else `anonymous`. */
  readonly name: string
  /** Where the task is now. */
  readonly state: TaskState
  /**
   * Resolves with the outcome, never rejects. Made on the first read. Do not await it in the handler: the
   * task starts after the response.
   */
  readonly settled: Promise<Outcome>
  /**
   * `cancelled`: it had not started, or was between two attempts, and never will run. `running`: its
   * signal has been aborted; it ends as `cancelled` if it then throws, as `completed` if it ignores the
   * signal. A task on its way to the queue is `running` too, and goes there. `finished`: too late.
   */
  cancel (): 'cancelled' | 'running' | 'finished'
  /** So that a handle can be logged, or sent in a reply. */
  toJSON (): { id: string, name: string, state: TaskState }
}

/**
 * Counts of tasks in this process since the plugin was registered. At every moment `added` is the sum of
 * `pending`, `running`, `completed`, `failed`, `skipped`, `cancelled`, `escalated` and `lost`. A task on
 * its way to the queue counts as `pending`, or as `running` if it had started, until the queue has it.
 */
export interface Stats {
  /** Tasks that `add` took, also those that are lost at once. A task that `add` rejects is not among them. */
  added: number
  /** Not started, or waiting for the next attempt. */
  pending: number
  /** Under way now, `concurrency` at the most. */
  running: number
  /** Ended without an error. */
  completed: number
  /** Ended by the error of their last attempt. */
  failed: number
  /** Not run, as their request ended otherwise than `when` says. */
  skipped: number
  /** Stopped by `cancel`. */
  cancelled: number
  /** Handed over to the queue, where they are jobs. */
  escalated: number
  /** Given up: no room, or no time at shutdown. */
  lost: number
  /** The part of `pending` that waits for its next attempt. */
  retrying: number
  /** Attempts given up by timeout or drain whose function has not returned yet. Not part of the sum. */
  abandoned: number
  /** Jobs that `enqueue` and `enqueueMany` have stored, deduplicated ones excepted. Not part of the sum. */
  enqueued: number
}
