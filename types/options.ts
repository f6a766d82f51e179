import type { Hooks } from './hooks.ts'
import type { QueueAdapter } from './queue.ts'
import type { Task, When } from './task.ts'

/**
 * The options of the plugin, checked when it is registered: a wrong value, or a name that is almost one of these,
 * is FST_ERR_BGT_INVALID_OPTIONS, with the path, what was expected and what came. Other names are ignored.
 */
export interface BackgroundTasksOptions {
  /** Tasks running at once, over all requests. Whole number from 1. Default 100. */
  concurrency?: number
  /**
   * Tasks waiting, over all requests: also those whose response is not over, those between two attempts,
   * and those that leave for the queue without having run. Whole number from 1. Default 10,000.
   *
   * From half of it on, each `add` ends the request that was answered first and whose client has not read the
   * response yet, as `answered`: its tasks run.
   */
  maxPending?: number
  /**
   * The answer of `add` once `maxPending` tasks wait. Default `reject`.
   *
   * - `reject` throws a 503 FST_ERR_BGT_OVERFLOW.
   * - `drop` records the task as `lost` with that error, which has no stack then: there may be thousands
   *   a second.
   * - `escalate` hands a defined task to the queue and rejects others. Needs an adapter.
   *
   * A task whose own `escalate` has `overflow` goes to the queue whatever is said here. Such tasks may wait
   * until there are twice `maxPending`; the next one is rejected, or dropped.
   */
  overflow?: 'reject' | 'drop' | 'escalate'
  /** ms for each attempt of a task that does not say otherwise, 0 to 2,147,483,647; 0 is no limit. Default 30,000. */
  timeout?: number
  /** The ending of the request that a task runs after, where the task does not say otherwise. Default `success`. */
  when?: When
  /**
   * ms that `close()` waits for tasks before it aborts them, 0 to 2,147,483,647. Default 8,000. Aborted
   * tasks, asynchronous hooks and the adapter have 1,800 ms more, all of them together, of which a task has 400.
   * Requests under way, which end before, and `onShutdown` are not part of it.
   */
  drainTimeout?: number
  /**
   * ms to wait for a handler to answer after its client has gone, 0 to 2,147,483,647. Default 60,000. If
   * no answer comes, the request has ended as `unanswered`. What the handler adds after that is judged when it
   * answers, or as `unanswered` as many ms later.
   */
  abortGrace?: number
  /**
   * The defined tasks that `add` and `enqueue` accept, and that a worker runs. Default none. Two of one
   * name are FST_ERR_BGT_DUPLICATE_TASK; one that needs an adapter, or a capability, that is not there
   * is FST_ERR_BGT_NO_ADAPTER or FST_ERR_BGT_NO_CAPABILITY.
   */
  tasks?: readonly Task[]
  /** The queue that `enqueue` and escalation go to. It is started and closed with the application. Default none. */
  adapter?: QueueAdapter
  /**
   * ms after which a call of the queue is given up, 1 to 2,147,483,647. Default 5,000. It holds for
   * `enqueue`, `status`, `cancel`, `schedule`, `unschedule`, `health` and escalation.
   */
  enqueueTimeout?: number
  /**
   * Bytes of JSON, whole number from 1. Default 262,144. It holds for a payload in the queue, or of a
   * task that may escalate, for a result or progress that is kept, and, in characters, for an error message.
   */
  maxPayload?: number
  /**
   * Limits of `status` for ended tasks of this process: it knows the latest `max` of them (whole number
   * from 0, default 10,000), for `ttl` ms after their end (0 to 2,147,483,647, default 3,600,000). Their
   * results are among it where they are JSON of `maxPayload` bytes at the most. Results, progress and error
   * messages together have 64 Mi characters at the most: above that the tasks that ended first are forgotten.
   */
  status?: { max?: number, ttl?: number }
  /**
   * Sends a trace along with a job. Default: `traceparent` and `tracestate` of the request, if well-formed, go into
   * the job's data. Of what `inject` gives, text does, names and values together 8,192 characters at the most.
   */
  trace?: TracePropagation
  /** Called for every task, and at the application's start and end. Default none. */
  hooks?: Hooks
}

/** The way of a trace from the process that enqueues into the worker, for any tracing library. */
export interface TracePropagation {
  /** Returns the headers of the active context. Called by `enqueue`, `schedule` and escalation. */
  inject?: () => Record<string, string>
  /**
   * Runs the attempt in the context that the headers say. Called by a worker, for a job that has trace
   * headers. If it throws or rejects, that is logged, and the job runs all the same, once.
   */
  extract?: <T>(headers: Readonly<Record<string, string>>, run: () => T) => T
}
