import type { Hooks } from './hooks.ts'
import type { QueueAdapter } from './queue.ts'
import type { Task, When } from './task.ts'

export interface BackgroundTasksOptions {
  /** Tasks running at once, over all requests. Whole number from 1. Default 100. */
  concurrency?: number
  /** Tasks waiting, over all requests; those whose response is not over are among them. Whole number from 1. Default 10,000. */
  maxPending?: number
  /**
   * What `add` does once `maxPending` tasks wait. `reject` throws a 503 `FST_ERR_BGT_OVERFLOW`, `drop`
   * records the task as `lost` (with that error, which has no stack then: there may be thousands a
   * second), `escalate` (needs an adapter) hands a defined task to the queue and rejects others.
   * Default `reject`.
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
  /** The defined tasks that `add` and `enqueue` accept, and that a worker runs. Names have to differ. Default none. */
  tasks?: readonly Task[]
  /** The queue that `enqueue` and escalation go to. It is started and closed with the application. Default none. */
  adapter?: QueueAdapter
  /** ms after which `enqueue` gives up on the queue, 1 to 2,147,483,647. Default 5,000. */
  enqueueTimeout?: number
  /** Bytes of JSON that a payload in the queue may have, and a result or progress that is kept; from 1. Default 262,144. */
  maxPayload?: number
  /**
   * How many ended tasks of this process `status` knows, from 0, and for how many ms after their end.
   * Default 10,000 and 3,600,000. A result is among it where it is JSON of `maxPayload` bytes at the most.
   */
  status?: { max?: number, ttl?: number }
  /** How a trace goes with a job. Default: `traceparent` and `tracestate` of the request go into the job's data. */
  trace?: TracePropagation
  hooks?: Hooks
}

export interface TracePropagation {
  /** Called by `enqueue`; returns the headers of the active context. */
  inject?: () => Record<string, string>
  /** Called by a worker; runs the attempt in the context that the headers say. */
  extract?: <T>(headers: Readonly<Record<string, string>>, run: () => T) => T
}
