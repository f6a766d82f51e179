export interface WorkerOptions {
  /** Default: the queues of all registered tasks. */
  queues?: readonly string[]
  /** Jobs under way at once, of each queue. Whole number from 1. Default 10. */
  concurrency?: number
  /** ms that closing waits for jobs before it aborts them. Default: the plugin's `drainTimeout`. */
  drainTimeout?: number
  /**
   * Jobs whose task this worker does not have, or only in a lower version, are left for other workers:
   * delivered again `delay` ms later, and failed once they have been due for `grace` ms.
   * Default 15,000 and 3,600,000.
   */
  unknown?: { delay?: number, grace?: number }
}

export interface Worker {
  readonly queues: readonly string[]
  /** ms */
  readonly drainTimeout: number
  stats (): WorkerStats
  /** Takes no more jobs, and resolves when those under way have ended or were given back to the queue. */
  close (): Promise<void>
}

/** Deliveries since the start. `running` is a gauge. */
export interface WorkerStats {
  running: number
  completed: number
  failed: number
  retrying: number
  /** Given back: at shutdown, or because this worker does not know the task. */
  postponed: number
  cancelled: number
  /** Attempts given up whose function has not returned yet. */
  abandoned: number
}
