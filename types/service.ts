import type { Stats, TaskHandle, TaskState } from './outcome.ts'
import type { Cancellation, Health, JobInfo, JobState, QueueAdapter } from './queue.ts'
import type { AddOptions, AddTaskOptions, Task, TaskContext } from './task.ts'
import type { Worker, WorkerOptions } from './worker.ts'

/** The payload is optional where the task takes none. */
type PayloadArguments<Input, Options> = undefined extends Input
  ? [payload?: Input, options?: Options]
  : [payload: Input, options?: Options]

/**
 * Adds a task that runs in this process, in one of three forms. The task keeps the AsyncLocalStorage
 * context of the call. After the drain it is recorded as `lost`, and nothing is thrown.
 *
 * @throws FST_ERR_BGT_INVALID_TASK, also for a generator function, a promise, and options after a function;
 * FST_ERR_BGT_INVALID_OPTIONS; and, where `maxPending` tasks wait, the 503 FST_ERR_BGT_OVERFLOW, as `overflow`
 * says. In an onTaskLost hook also FST_ERR_BGT_CLOSED, and FST_ERR_BGT_OVERFLOW with `drop` too, for a task that
 * would be lost at once. Tasks added before stay added.
 */
export interface Add {
  /**
   * Adds a defined task, whose payload is checked now. `options` override those of the definition, each
   * as a whole.
   *
   * @throws FST_ERR_BGT_INVALID_PAYLOAD, FST_ERR_BGT_TASK_NOT_REGISTERED, and for a task that may escalate
   * FST_ERR_BGT_PAYLOAD_TOO_LARGE, or FST_ERR_BGT_INVALID_PAYLOAD where it is not JSON, beside those above.
   */
  <Input>(task: Task<Input>, ...payload: PayloadArguments<Input, AddTaskOptions>): TaskHandle
  /** Adds a call of `fn` with exactly these arguments. The name is the function's, the options are the plugin's. */
  <Arguments extends unknown[]>(fn: (this: void, ...args: Arguments) => unknown, ...args: Arguments): TaskHandle
  /** Adds a call of `fn` with the task's context, from which it knows its signal, its log and its attempt. */
  (options: AddOptions, fn: (this: void, context: TaskContext) => unknown): TaskHandle
}

/** Options of one call of `enqueue`. One that the adapter has no capability for is FST_ERR_BGT_NO_CAPABILITY. */
export interface EnqueueOptions {
  /** ms before the job is due, 0 to 31,536,000,000 (a year). Default 0. Needs the capability `delay`. */
  delay?: number
  /** Whole number, 1 to 100, the highest first. Default: the task's. Needs the capability `priority`. */
  priority?: number
  /**
   * 1 to 512 characters, or 1 to 8 parts of as many: `[user.id, requestKey]` is another key than the two joined,
   * whatever is in them. While a job of this task with this key is kept, ended or not, no other is stored, whatever
   * its payload or owner. The job's id is made from the task's name and the key, so it can be computed by anybody
   * who knows both: put the user into a key that a client chooses. Needs the capability `dedupe`.
   */
  key?: string | readonly string[]
  /**
   * 1 to 256 characters: whom the job belongs to, such as the id of a user. Kept with the job, told by `status`, and
   * given to `authorize` of the routes. Default: none.
   */
  owner?: string
  /** The caller's transaction: the job is stored if and when that commits. Needs the capability `transactional`. */
  tx?: unknown
}

/** The job that `enqueue` has stored. */
export interface Enqueued {
  /** UUID, for `status` and `cancel`. */
  readonly id: string
  /** There was a job with this `key` already, and it is that one's id. Always `false` without a `key`. */
  readonly deduplicated: boolean
}

/** Puts a task into the queue. `when` has no meaning for it, and it waits for no response. */
export interface Enqueue {
  /**
   * Stores a job in the queue, where a worker runs the task. Resolves once it is stored as durably as the
   * adapter can. The payload is stored as it was given, and checked again by the worker.
   *
   * Rejects with FST_ERR_BGT_NO_ADAPTER, FST_ERR_BGT_NOT_READY (before `app.ready()`),
   * FST_ERR_BGT_INVALID_TASK, FST_ERR_BGT_TASK_NOT_REGISTERED, FST_ERR_BGT_INVALID_OPTIONS,
   * FST_ERR_BGT_INVALID_PAYLOAD (also for one that is not JSON), FST_ERR_BGT_PAYLOAD_TOO_LARGE,
   * FST_ERR_BGT_NO_CAPABILITY (also for `retry` of the task), and, after `enqueueTimeout` at the latest,
   * FST_ERR_BGT_QUEUE_UNAVAILABLE (at once while 10,000 jobs of this process, or 64 MiB of their payloads, wait
   * for an answer): a 503 with `id` and with `ambiguous`, which is true where the job may
   * have been stored nevertheless.
   */
  <Input>(task: Task<Input>, ...payload: PayloadArguments<Input, EnqueueOptions>): Promise<Enqueued>
}

/** As `enqueue`, for many payloads of one task. */
export interface EnqueueMany {
  /**
   * Stores a job for each payload, and resolves with them in order. Rejects as `enqueue`; before anything
   * is stored if one payload does not fit. The jobs go in chunks of as many as the adapter takes
   * (`batch.max`, else 1,000), one after the other, each with its own `enqueueTimeout`. Where one of them
   * fails, the error has in `enqueued` the jobs that are stored for sure.
   */
  <Input>(
    task: Task<Input>, payloads: readonly Input[], options?: Omit<EnqueueOptions, 'key'>
  ): Promise<Enqueued[]>
}

/**
 * `request.backgroundTasks`: tasks run one after the other, in the order they were added, once the
 * response is over.
 */
export interface RequestBackgroundTasks {
  /** Adds a task to the lane of this request. Once the response is over, it is judged by `when` at once. */
  add: Add
  /** Stores a job now, whatever becomes of the request. The job keeps the request's id and trace headers. */
  enqueue: Enqueue
  /** Stores many jobs now, as `enqueue` does one. */
  enqueueMany: EnqueueMany
}

/** A task as `status` describes it, in this process or in the queue. */
export type TaskInfo = JobInfo<JobState | TaskState>

/** The times and the payload with which a task is enqueued again and again. */
export interface ScheduleOptions<Input> {
  /** Five fields, or six where the first is seconds; those need an adapter whose `schedule` is `second`. */
  cron: string
  /** IANA name. Default `UTC`. */
  timezone?: string
  /** Of every job of the schedule: as for `enqueue`, and checked now. */
  payload?: Input
  /**
   * 1 to 128 characters, no control characters. One schedule for each name, in all processes. Default: the task's
   * name.
   */
  name?: string
}

/** `app.backgroundTasks`: tasks without a request. Each runs as soon as there is room, independently of the others. */
export interface BackgroundTasks {
  /** Adds a task with a lane of its own. `when` has no meaning for it. */
  add: Add
  /**
   * Resolves when nothing is pending or running in this process, the tasks of requests under way included
   * and the jobs of a worker not. Do not await it in a task, which it waits for.
   *
   * Rejects with FST_ERR_BGT_IDLE_TIMEOUT after `timeout` ms, 0 to 2,147,483,647 (default: no limit), and
   * with FST_ERR_BGT_INVALID_OPTIONS.
   */
  idle (options?: { timeout?: number }): Promise<void>
  /** A copy of the counts as they are now. */
  stats (): Stats
  /** Stores a job. */
  enqueue: Enqueue
  /** Stores many jobs. */
  enqueueMany: EnqueueMany
  /**
   * Finds a job of the queue, or a defined task of this process whose id somebody has read. Resolves with
   * `null` where the id is unknown or forgotten, before `app.ready()`, and for an adapter without `status`.
   * Rejects with FST_ERR_BGT_QUEUE_UNAVAILABLE, after `enqueueTimeout` at the latest.
   */
  status (id: string): Promise<TaskInfo | null>
  /**
   * Cancels a job, or a defined task of this process whose id somebody has read. `running`: its signal has
   * been aborted, if the engine can reach its worker. Rejects as `status`.
   */
  cancel (id: string): Promise<Cancellation>
  /**
   * Enqueues the task at these times, adding or replacing the schedule of that name. The queue keeps it,
   * and each time gives one job, however many processes there are, as long as a worker runs. Rejects with
   * the codes of `enqueue`; a `cron` or `timezone` that is none is FST_ERR_BGT_INVALID_OPTIONS.
   */
  schedule <Input>(task: Task<Input>, options: ScheduleOptions<Input>): Promise<void>
  /**
   * Removes the schedule of that name, and resolves with whether there was one. Rejects with
   * FST_ERR_BGT_NO_ADAPTER, FST_ERR_BGT_NOT_READY, FST_ERR_BGT_NO_CAPABILITY, FST_ERR_BGT_QUEUE_UNAVAILABLE.
   */
  unschedule (name: string): Promise<boolean>
  /** Asks the queue how it is; without one it is `ok`. Never rejects, and answers within `enqueueTimeout`. */
  health (): Promise<Health>
  /**
   * Runs jobs of the queue in this process, until the application closes. The same as `startWorker`, for
   * an application that also serves requests.
   *
   * Rejects with FST_ERR_BGT_NO_ADAPTER, FST_ERR_BGT_NOT_READY (before `app.ready()`), and with
   * FST_ERR_BGT_INVALID_OPTIONS, also where no task is registered, or none for one of `queues`.
   */
  work (options?: WorkerOptions): Promise<Worker>
  /** As it was given to the plugin; `adapter.native` is the engine. `undefined` without one. */
  readonly adapter: QueueAdapter | undefined
}
