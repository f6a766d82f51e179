import type { FastifyBaseLogger } from 'fastify'
import type { RetryOptions } from './retry.ts'

/**
 * A durable queue behind `enqueue`. Everything about Fastify, tasks and their payloads is the core's; an
 * adapter stores jobs, delivers each to one worker at a time, at least once, and tells what became of it.
 * `fastify-background-tasks/conformance` holds it to what is said here.
 */
export interface QueueAdapter<Native = unknown> {
  /** Of the engine, for errors and log lines, such as `bullmq`. */
  readonly name: string
  /** Read before `start` already, when tasks are registered; so it never changes. */
  readonly capabilities: Capabilities
  /** The engine itself, for what this interface does not have: flows, rate limits, dashboards. */
  readonly native: Native

  /**
   * Called once, when the application gets ready. Rejects for what no waiting cures (a missing package, a
   * wrong option). Does not wait for a server that is down: `enqueue` fails until it is back, by itself,
   * and `work` begins then.
   */
  start (options: StartOptions): Promise<void>

  /**
   * Resolves once all jobs are stored as durably as the engine can, with a receipt for each, in order.
   * An `id` that is stored already is left as it is, and its receipt says `deduplicated`.
   *
   * Rejects, soon, where the engine does not answer. An error with `ambiguous: false` promises that
   * nothing was stored; after any other the jobs may have been, and the same ids may be sent again. One with
   * `again: true` too says that another transaction is in the way, and may soon have ended: the jobs are sent again
   * until their time is over, those of each caller by themselves.
   */
  enqueue (jobs: readonly Job[], context?: EnqueueContext): Promise<Receipt[]>

  /**
   * Delivers the jobs of a queue: by priority, then in order, none before its `delay` has passed. A job
   * whose worker has died is delivered again; one that kills every worker ends as `failed`.
   */
  work (queue: string, run: RunJob, options: WorkOptions): Promise<Consumer>

  /** Resolves with `null` for an id that is not, or no longer, stored. Needed for the capability `result`. */
  status? (id: string): Promise<JobInfo | null>
  /**
   * Keeps a job from running, or asks its worker to stop it. What is asked is kept in the store, so that it reaches
   * the worker that has the job, within a third of its lease at the latest, or the next one, should that die. Needed
   * for the capability `cancelPending`.
   */
  cancel? (id: string): Promise<Cancellation>
  /**
   * Adds or replaces the schedule of that name. One that is there already, the same in all, is left alone: a job of
   * it that is due stays. However many of its times pass while no process is connected, one job is stored for them
   * all; while no worker takes its jobs, as the capability `missedOnce` says. There if, and only if, the capability
   * `schedule` is not `none`.
   */
  schedule? (schedule: Schedule): Promise<void>
  /** Removes a schedule, and resolves with whether there was one. There if, and only if, `schedule` is. */
  unschedule? (name: string): Promise<boolean>

  /** Asks the engine how it is. Never rejects and never hangs: trouble is `ok: false` with its `error`. */
  health (): Promise<Health>

  /** Closes the consumers too, and the connections that the adapter has opened itself; not those it was given. */
  close (options?: CloseOptions): Promise<void>
}

/**
 * The answer to `cancel`.
 *
 * - `cancelled`: it had not started, or was between two attempts, and never will run.
 * - `running`: too late, but its signal aborts, where the engine can tell its worker.
 * - `finished`: it had ended already.
 * - `not-found`: no task or job with this id is known.
 */
export type Cancellation = 'cancelled' | 'running' | 'finished' | 'not-found'

/**
 * The abilities of an engine. A task, or an option of `enqueue`, that needs another one is
 * FST_ERR_BGT_NO_CAPABILITY.
 */
export interface Capabilities {
  /** Keeps a job back until its `delay` has passed. */
  readonly delay: boolean
  /** Delivers the jobs of a queue by their `priority`. */
  readonly priority: boolean
  /** Knows an id that it has stored before, and stores no second job. For `key`. */
  readonly dedupe: boolean
  /** Delivers again after `retrying`, once its delay has passed. */
  readonly retry: boolean
  /** Keeps the result of a completed job, for `status`. */
  readonly result: boolean
  /** Cancels a job that waits, for the first attempt or the next. */
  readonly cancelPending: boolean
  /** Stores a job in the caller's own transaction, given as `tx`. */
  readonly transactional: boolean
  /** A stored job survives the end of this process. Needed for `escalate: ['shutdown']`. */
  readonly durable: boolean
  /** The smallest step of a `cron`: five fields are `minute`, six `second`. `none`: there are no schedules. */
  readonly schedule: 'none' | 'minute' | 'second'
  /**
   * Stores one job for however many times of a schedule pass while no worker takes the jobs of its queue. Without it,
   * that holds only while no process is connected; else each time that passes stores one.
   */
  readonly missedOnce: boolean
  /**
   * Whether it is cheaper to store many jobs at once. Then `enqueue` gets up to `max` jobs (from 1), and
   * `inFlight` calls (from 1) run at a time: jobs that come meanwhile wait and go together. Jobs with `tx`
   * never wait. If a call for jobs of several callers fails, it is made again for each half of them, and so on; for
   * each of them where the engine does not answer.
   */
  readonly batch: false | { readonly max: number, readonly inFlight: number }
}

/** Given to an adapter once, at its start. */
export interface StartOptions {
  /** The queues of all registered tasks. Any process may enqueue to them and work on them. */
  readonly queues: readonly string[]
  /** The instance's logger, for events between calls, such as a lost connection. */
  readonly log: FastifyBaseLogger
}

/** A task that is to be stored in a queue. */
export interface Job {
  /** UUID, made before the job is sent, so that it is safe to send it again. With a `key` it is made from that. */
  readonly id: string
  /** One of those given to `start`. */
  readonly queue: string
  /** Name of the task. */
  readonly task: string
  /** Stored as it is, and delivered so. */
  readonly data: JobData
  /** ms before it is due, 0 to 31,536,000,000; 0 is at once. */
  readonly delay: number
  /** Whole number, 1 to 100, the highest first. */
  readonly priority: number
  /**
   * For engines that count attempts themselves, `attempts: 1` where the task has no `retry`. The delays
   * that hold come with each `retrying`, as the worker's release decides on them.
   */
  readonly retry: Readonly<Required<RetryOptions>>
}

/** JSON, which the adapter stores as a whole. */
export interface JobData {
  /** As it was given to `enqueue`: the worker's validator makes of it what `run` receives. */
  readonly payload: unknown
  /** `version` of the task that was enqueued. */
  readonly version: number
  /** ms since 1970, by the clock of the process that enqueued. Of a schedule's job, about when it was due. */
  readonly enqueuedAt: number
  /** ms from then on until the job was due. Left out where it is 0. */
  readonly delay?: number
  /** `request.id` of the request that enqueued, for the worker's log lines. Left out outside of a request. */
  readonly requestId?: string
  /** Trace headers (`traceparent`, ...) of the context that enqueued. */
  readonly trace?: Readonly<Record<string, string>>
  /** Whom the job belongs to, as `enqueue` was told. The one part of it that `status` tells. Left out without one. */
  readonly owner?: string
}

/** Given to an adapter with each call of `enqueue`. */
export interface EnqueueContext {
  /** The caller's transaction, of the kind the engine takes. Given only to an adapter that is `transactional`. */
  readonly tx?: unknown
  /**
   * Others wait for this call: where a job has to wait for another transaction, as one with the same id, the call
   * rejects with `again: true`. Never with `tx`.
   */
  readonly noWait?: boolean
  /**
   * Aborts when nobody waits for the receipts any more: a reason not to send again. The callers have time
   * limits of their own. Do not read it without need: it may be made on the first read, which costs more
   * than the rest of a call.
   */
  readonly signal?: AbortSignal
}

/** The adapter's answer for one job of an `enqueue`. */
export interface Receipt {
  /** Of the job. */
  readonly id: string
  /** The id was stored before; nothing has changed. */
  readonly deduplicated?: boolean
  /** This one was not stored; the others were. */
  readonly error?: Error
}

/** Runs one delivery. Never rejects. The verdict is to be recorded before another worker may have the job. */
export type RunJob = (job: ActiveJob) => Promise<JobVerdict>

/** One delivery of a job to a worker. */
export interface ActiveJob {
  /** As it was stored, the same in every delivery. */
  readonly id: string
  /** The queue that it was taken from. */
  readonly queue: string
  /** Name of the task; empty where the job has none. The worker may not have it: it then answers `postponed`. */
  readonly task: string
  /**
   * As it was stored: of a job that another program stored, anything, and `undefined` where it cannot be read. The
   * run checks it. Reading it concerns this delivery only, never the loop or transaction that serves others.
   */
  readonly data: unknown
  /** 1 for the first. A delivery after `postponed` has the number of the one before. */
  readonly attempt: number
  /**
   * Aborts when the job was cancelled, or was given to another worker. Of a job whose cancelling was asked for
   * before it was taken, it is aborted from the start.
   */
  readonly signal: AbortSignal
  /**
   * Keeps a JSON value of `maxPayload` bytes at the most for `status`, the latest only. Called again only when the
   * value before is kept. Rejects where it cannot be kept, which is logged.
   */
  progress (value: unknown): Promise<void>
}

/** An error as it is kept: made by the run, of bounded size, without halves of surrogate pairs. */
export interface JobError {
  /** 128 characters at the most. */
  readonly name: string
  /** 8,192 characters at the most, and no more than `maxPayload`. */
  readonly message: string
  /** 128 characters at the most. */
  readonly code?: string
}

/** The error of a verdict. */
export interface VerdictError extends JobError {
  /** 8,192 characters at the most. For those who operate the engine: `status` does not tell it. */
  readonly stack?: string | undefined
}

/** The end of one delivery, as the adapter has to record it. */
export type JobVerdict =
  /** `result` is JSON of `maxPayload` bytes at the most, or undefined. */
  | { readonly state: 'completed', readonly result: unknown }
  /** For good: kept as a dead letter, to be looked at and run again by hand. */
  | { readonly state: 'failed', readonly error: VerdictError }
  /** To be delivered again `delay` ms later, as the next attempt. */
  | { readonly state: 'retrying', readonly error: VerdictError, readonly delay: number }
  /** To be delivered again `delay` ms later, as the same attempt: this worker cannot run it now. */
  | { readonly state: 'postponed', readonly error: VerdictError, readonly delay: number }
  /** For good, after `cancel`: it is not run again. */
  | { readonly state: 'cancelled', readonly error: VerdictError }

/** Limits of one `work`. */
export interface WorkOptions {
  /** Jobs of this queue under way at once in this process. */
  readonly concurrency: number
}

/** Takes jobs from one queue, from `work` until `close`. */
export interface Consumer {
  /**
   * Takes no more jobs. Resolves when the verdicts of those under way are recorded, or `grace` ms later
   * (default: no limit). Jobs that are left then are delivered again, to any worker that asks.
   */
  close (options?: CloseOptions): Promise<void>
}

/** The patience of a `close`. */
export interface CloseOptions {
  /** ms that jobs under way have to end and to be recorded. Default: no limit. */
  readonly grace?: number
}

/**
 * A job's states. `scheduled` waits for its delay, `retrying` for its next attempt; `completed`, `failed`
 * and `cancelled` are final.
 */
export type JobState = 'pending' | 'scheduled' | 'running' | 'retrying' | 'completed' | 'failed' | 'cancelled'

/** A job as its adapter knows it, or a defined task in this process. Times are ms since 1970. */
export interface JobInfo<State extends string = JobState> {
  /** UUID: the one that `status` was asked for. */
  readonly id: string
  /** Name of the task. */
  readonly task: string
  /** `undefined` for a task in this process. */
  readonly queue?: string
  /** A job of another process may have moved on since. */
  readonly state: State
  /** Attempts begun; one that was postponed does not count. */
  readonly attempts: number
  /** The latest value given to `progress`. `undefined` before the first. */
  readonly progress?: unknown
  /** The value that the task returned, as JSON keeps it. `undefined` until `completed`, and where it was not kept. */
  readonly result?: unknown
  /** Of the latest attempt that failed, without its stack. `undefined` once it has completed. */
  readonly error?: JobError
  /** Whom it belongs to, as `enqueue` or `add` was told. `undefined` without one. */
  readonly owner?: string
  /** When the job was stored. Of a task in this process, when its id was first read. */
  readonly enqueuedAt: number
  /** Start of the latest attempt. */
  readonly startedAt?: number
  /** When the outcome was recorded. */
  readonly endedAt?: number
}

/** A job that is to be stored again and again, without a delay. */
export interface Schedule {
  /** 1 to 128 characters. It identifies the schedule in this queue, for all processes. */
  readonly name: string
  /** Five fields, or six where the first is seconds; those only if the capability `schedule` is `second`. */
  readonly cron: string
  /** IANA name. Default `UTC`. */
  readonly timezone?: string
  /** Where its jobs go: one of those given to `start`. */
  readonly queue: string
  /** Name of the task. */
  readonly task: string
  /** Of each job. The adapter adds `enqueuedAt`. */
  readonly data: Omit<JobData, 'enqueuedAt'>
  /** Of each job, 1 to 100. */
  readonly priority: number
  /** Of each job, as in `Job`. */
  readonly retry: Readonly<Required<RetryOptions>>
}

/** The state of an engine, for a health check and for alerts. */
export interface Health {
  /** The engine answers, and takes jobs. */
  readonly ok: boolean
  /** ms of one round trip. */
  readonly latency?: number
  /** Settings of the engine that put jobs at risk, each in a sentence with its cure. */
  readonly warnings: readonly string[]
  /** Why it is not `ok`. */
  readonly error?: string
}
