/** `retrying` is waiting for its next attempt; all from `completed` on are final. */
export type TaskState =
  | 'pending' | 'running' | 'retrying'
  | Outcome['state']

/**
 * How a task ended. Each added task gets exactly one.
 *
 * `error` is always an Error: a thrown value that is none is the `cause` of an
 * `FST_ERR_BGT_NON_ERROR`.
 */
export type Outcome =
  | { readonly state: 'completed', readonly attempts: number, readonly result: unknown }
  | { readonly state: 'failed', readonly attempts: number, readonly error: Error }
  | { readonly state: 'skipped', readonly attempts: 0, readonly reason: Ending }
  | { readonly state: 'cancelled', readonly attempts: number, readonly error: Error }
  | { readonly state: 'escalated', readonly attempts: number, readonly id: string }
  | { readonly state: 'lost', readonly attempts: number, readonly reason: LossReason, readonly error: Error }

/** How a request ended: its handler answered, something in it threw, or the client left and no answer came. */
export type Ending = 'answered' | 'errored' | 'unanswered'

/** `overflow`: dropped at `maxPending`. `shutdown`: cut off by `drainTimeout`. `closed`: added after the drain. */
export type LossReason = 'overflow' | 'shutdown' | 'closed'

/** What `add` returns. */
export interface TaskHandle {
  /** UUID, made on the first read. */
  readonly id: string
  readonly name: string
  readonly state: TaskState
  /** Resolves with the outcome, never rejects. Made on the first read. */
  readonly settled: Promise<Outcome>
  /**
   * `cancelled`: it had not started and never will. `running`: its signal has been aborted; it ends as
   * `cancelled` if it then throws, as `completed` if it ignores the signal. `finished`: too late.
   */
  cancel (): 'cancelled' | 'running' | 'finished'
  /** So that a handle can be logged, or sent in a reply. */
  toJSON (): { id: string, name: string, state: TaskState }
}

/**
 * At every moment `added` is the sum of `pending`, `running`, `completed`, `failed`, `skipped`,
 * `cancelled`, `escalated` and `lost`.
 */
export interface Stats {
  added: number
  /** Not started, or waiting for the next attempt. */
  pending: number
  running: number
  completed: number
  failed: number
  skipped: number
  cancelled: number
  escalated: number
  lost: number
  /** The part of `pending` that waits for its next attempt. */
  retrying: number
  /** Attempts given up by timeout or drain whose function has not returned yet. Not part of the sum. */
  abandoned: number
  /** Tasks given to the adapter by `enqueue`. Not part of the sum. */
  enqueued: number
}
