/**
 * Further attempts of a task that fails. There is none after a `NonRetryableError`, nor for a payload
 * that does not fit. In a worker the wait is in the queue.
 */
export interface RetryOptions {
  /** How often the task runs at the most, the first time included. Whole number, 1 to 100. Default 3. */
  attempts?: number
  /** ms before the second attempt, 0 to 86,400,000. Default 1,000. */
  delay?: number
  /** `fixed` waits `delay` each time, `exponential` doubles it each time. Default `exponential`. */
  backoff?: 'fixed' | 'exponential'
  /** ms that a wait never exceeds, 0 to 86,400,000. Default 300,000. */
  maxDelay?: number
  /**
   * The largest share of a wait, 0 to 1, that is taken off at random, so that tasks that failed together
   * do not return together. Default 0.2.
   */
  jitter?: number
}
