import type { Stats, TaskHandle, TaskState } from './outcome.ts'
import type { Cancellation, Health, JobInfo, JobState, QueueAdapter } from './queue.ts'
import type { AddOptions, Task, TaskContext, TaskOptions } from './task.ts'
import type { Worker, WorkerOptions } from './worker.ts'

/** Optional where the task takes no payload. */
type PayloadArguments<Input, Options> = undefined extends Input
  ? [payload?: Input, options?: Options]
  : [payload: Input, options?: Options]

export interface Add {
  /**
   * Collects a task. The task keeps the AsyncLocalStorage context of this call.
   *
   * @throws FST_ERR_BGT_INVALID_TASK, FST_ERR_BGT_INVALID_OPTIONS, FST_ERR_BGT_INVALID_PAYLOAD,
   * FST_ERR_BGT_TASK_NOT_REGISTERED, and with `overflow: 'reject'` FST_ERR_BGT_OVERFLOW. What was
   * added before stays added.
   */
  <Input>(task: Task<Input>, ...payload: PayloadArguments<Input, TaskOptions>): TaskHandle
  /** Calls `fn` with exactly these arguments. */
  <Arguments extends unknown[]>(fn: (...args: Arguments) => unknown, ...args: Arguments): TaskHandle
  (options: AddOptions, fn: (context: TaskContext) => unknown): TaskHandle
}

export interface EnqueueOptions {
  /** ms before it may run, 0 to 31,536,000,000 (a year). Default 0. */
  delay?: number
  /** 1 to 100, the highest first. Default: the task's. */
  priority?: number
  /**
   * 1 to 512 characters: while a job of this task with this key is kept, done or not, another is not
   * stored. The id follows from task and key, so whoever knows both knows the id.
   */
  key?: string
  /** The caller's transaction: the job is stored if and when that commits. Needs the capability `transactional`. */
  tx?: unknown
}

export interface Enqueued {
  /** UUID: what `status` and `cancel` take. */
  readonly id: string
  /** There was a job with this `key` already, and it is that one's id. */
  readonly deduplicated: boolean
}

export interface Enqueue {
  /**
   * Stores a job in the queue, where a worker runs the task. Resolves once it is stored as durably as the
   * adapter can: it needs no response, and survives this process.
   *
   * Rejects with FST_ERR_BGT_NO_ADAPTER, FST_ERR_BGT_INVALID_TASK, FST_ERR_BGT_TASK_NOT_REGISTERED, FST_ERR_BGT_INVALID_OPTIONS,
   * FST_ERR_BGT_INVALID_PAYLOAD (also for what is not JSON), FST_ERR_BGT_PAYLOAD_TOO_LARGE,
   * FST_ERR_BGT_NO_CAPABILITY, and, after `enqueueTimeout` at the latest, FST_ERR_BGT_QUEUE_UNAVAILABLE:
   * a 503 with `id` and with `ambiguous`, which is true where the job may have been stored nevertheless.
   */
  <Input>(task: Task<Input>, ...payload: PayloadArguments<Input, EnqueueOptions>): Promise<Enqueued>
}

/**
 * As `enqueue`, for many payloads of one task. Rejects before anything is stored if one payload does not
 * fit. Goes in chunks as large as the adapter takes, each with its own `enqueueTimeout`; where one of them
 * fails, the error has in `enqueued` what is stored.
 */
export interface EnqueueMany {
  <Input>(task: Task<Input>, payloads: readonly Input[], options?: Omit<EnqueueOptions, 'key'>): Promise<Enqueued[]>
}

/** `request.backgroundTasks`: tasks run one after the other, in the order they were added, once the response is over. */
export interface RequestBackgroundTasks {
  add: Add
  enqueue: Enqueue
  enqueueMany: EnqueueMany
}

/** What `status` knows of a task, in this process or in the queue. */
export type TaskInfo = JobInfo<JobState | TaskState>

export interface ScheduleOptions<Input> {
  /** Five fields, or six where the first is seconds. */
  cron: string
  /** IANA name. Default `UTC`. */
  timezone?: string
  payload?: Input
  /** 1 to 128 characters, one schedule each. Default: the task's name. */
  name?: string
}

/** `app.backgroundTasks`: tasks without a request. Each runs as soon as there is room, independently of the others. */
export interface BackgroundTasks {
  add: Add
  /**
   * Resolves when nothing is pending or running, the tasks of requests under way included.
   *
   * @throws FST_ERR_BGT_IDLE_TIMEOUT after `timeout` ms. Default: no limit.
   */
  idle (options?: { timeout?: number }): Promise<void>
  stats (): Stats
  enqueue: Enqueue
  enqueueMany: EnqueueMany
  /**
   * A job of the queue, or a defined task of this process whose id somebody has read. `null` where the id
   * is unknown or forgotten. Rejects with FST_ERR_BGT_QUEUE_UNAVAILABLE.
   */
  status (id: string): Promise<TaskInfo | null>
  /** `running`: its signal has been aborted, if the engine can reach its worker. Rejects as `status`. */
  cancel (id: string): Promise<Cancellation>
  /** Enqueues the task at these times, adding or replacing the schedule of that name. Rejects as `enqueue`. */
  schedule <Input>(task: Task<Input>, options: ScheduleOptions<Input>): Promise<void>
  /** Whether there was a schedule of that name. */
  unschedule (name: string): Promise<boolean>
  /** Of the queue; `ok` without one. */
  health (): Promise<Health>
  /**
   * Runs jobs of the queue in this process, until the application closes. The same as `startWorker`, for
   * an application that also serves requests.
   *
   * @throws FST_ERR_BGT_NO_ADAPTER, FST_ERR_BGT_INVALID_OPTIONS.
   */
  work (options?: WorkerOptions): Promise<Worker>
  /** As it was given; `adapter.native` is the engine. */
  readonly adapter: QueueAdapter | undefined
}
