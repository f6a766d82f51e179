/** Options of `startWorker` and `work`; others, and wrong values, are FST_ERR_BGT_INVALID_OPTIONS. */
export interface WorkerOptions {
  /** Queues to take jobs from, one or more, each with a registered task. Default: those of all registered tasks. */
  queues?: readonly string[]
  /** Jobs under way at once, of each queue. Whole number from 1. Default 10. */
  concurrency?: number
  /** ms that closing waits for jobs before it aborts them, 0 to 2,147,483,647. Default: the plugin's `drainTimeout`. */
  drainTimeout?: number
  /**
   * Jobs whose task this worker does not have, or only in a lower version, are left for other workers:
   * delivered again `delay` ms later (0 to 86,400,000, default 15,000), or half of the time that this worker has
   * known them, up to four times `delay`, where that is longer. They are failed with FST_ERR_BGT_UNKNOWN_TASK
   * `grace` ms after it first saw them (0 to 31,536,000,000, default 3,600,000). Neither time without workers nor
   * a step of the clock counts.
   */
  unknown?: { delay?: number, grace?: number }
}

/** Runs jobs in this process, until `close` or the end of the application. */
export interface Worker {
  /** The queues that it takes jobs from, each once. */
  readonly queues: readonly string[]
  /** ms that `close` waits for jobs before it aborts them: the option, or its default. */
  readonly drainTimeout: number
  /** A copy of the counts as they are now. */
  stats (): WorkerStats
  /**
   * Takes no more jobs, and resolves when those under way have ended or were given back to the queue: 1,000
   * ms after `drainTimeout` at the latest, of which aborted jobs have 400 to end. Never rejects: an adapter's
   * error is logged. Called again, it returns the same promise. `app.close()` calls it too.
   */
  close (): Promise<void>
}

/**
 * Deliveries by what became of them, since the worker started: a job with two attempts counts twice.
 * `running` and `abandoned` are as of now.
 */
export interface WorkerStats {
  /** Jobs under way now. */
  running: number
  /** Ended without an error. */
  completed: number
  /** Ended for good by an error, as dead letters. */
  failed: number
  /** Failed, and to be delivered again as the next attempt. */
  retrying: number
  /** Given back: at shutdown, or because this worker does not know the task. */
  postponed: number
  /** Ended by their error after `cancel`. */
  cancelled: number
  /** Attempts given up by timeout or shutdown whose function has not returned yet. */
  abandoned: number
}
