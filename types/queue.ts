import type { FastifyBaseLogger } from 'fastify'
import type { RetryOptions } from './task.ts'

/**
 * A durable queue behind `enqueue`. Everything about Fastify, tasks and their payloads is the core's; an
 * adapter stores jobs, delivers each to one worker at a time, at least once, and tells what became of it.
 * `fastify-background-tasks/conformance` holds it to what is said here.
 */
export interface QueueAdapter<Native = unknown> {
  /** For messages: `bullmq`. */
  readonly name: string
  readonly capabilities: Capabilities
  /** The engine itself, for what this interface does not have: flows, rate limits, dashboards. */
  readonly native: Native

  /**
   * Called once, when the application gets ready. Throws for what no waiting cures (a missing package, a
   * wrong option). Does not wait for a server that is down: `enqueue` fails until it is back, by itself,
   * and `work` begins then.
   */
  start (options: StartOptions): Promise<void>

  /**
   * Resolves once all jobs are stored as durably as the engine can, with a receipt for each, in order.
   * An `id` that is stored already is left as it is, and its receipt says `deduplicated`.
   *
   * Rejects, soon, where the engine does not answer. An error with `ambiguous: false` promises that
   * nothing was stored; after any other the jobs may have been, and the same ids may be sent again.
   */
  enqueue (jobs: readonly Job[], context?: EnqueueContext): Promise<Receipt[]>

  /**
   * Delivers the jobs of a queue: by priority, then in order, none before its `delay` has passed. A job
   * whose worker has died is delivered again; one that kills every worker ends as `failed`.
   */
  work (queue: string, run: RunJob, options: WorkOptions): Promise<Consumer>

  /** `null` for an id that is not, or no longer, stored. */
  status? (id: string): Promise<JobInfo | null>
  cancel? (id: string): Promise<Cancellation>
  /** Adds or replaces the schedule of that name. */
  schedule? (schedule: Schedule): Promise<void>
  /** Whether there was one. */
  unschedule? (name: string): Promise<boolean>

  /** Never rejects and never hangs. */
  health (): Promise<Health>

  /** Closes the consumers too, and what the adapter has opened itself; not what it was given. */
  close (options?: CloseOptions): Promise<void>
}

/** `cancelled`: it never ran and never will. `running`: too late, but its `signal` aborts where the engine can tell its worker. */
export type Cancellation = 'cancelled' | 'running' | 'finished' | 'not-found'

export interface Capabilities {
  readonly delay: boolean
  readonly priority: boolean
  /** Knows an id that it has stored before. */
  readonly dedupe: boolean
  /** Delivers again after `retrying`, once its delay has passed. */
  readonly retry: boolean
  /** Keeps what `completed` returned. */
  readonly result: boolean
  readonly cancelPending: boolean
  /** Stores a job in the caller's own transaction, given as `tx`. */
  readonly transactional: boolean
  /** A stored job survives the end of this process. */
  readonly durable: boolean
  readonly schedule: 'none' | 'minute' | 'second'
  /** Whether storing many jobs at once is cheaper. Then `enqueue` gets up to `max` jobs, and `inFlight` calls run at a time. */
  readonly batch: false | { readonly max: number, readonly inFlight: number }
}

export interface StartOptions {
  /** All queues that are enqueued to or worked on. Any process may do both. */
  readonly queues: readonly string[]
  /** For what happens between calls, such as a lost connection. */
  readonly log: FastifyBaseLogger
}

export interface Job {
  /** UUID, made before it is sent; it is what makes sending again safe. */
  readonly id: string
  readonly queue: string
  /** Name of the task. */
  readonly task: string
  readonly data: JobData
  /** ms; 0 is at once. */
  readonly delay: number
  /** 1 to 100, the highest first. */
  readonly priority: number
  /** What engines that count attempts themselves have to know; the delays come with each `retrying`. */
  readonly retry: Readonly<Required<RetryOptions>>
}

/** JSON, which the adapter stores as a whole and does not look into. */
export interface JobData {
  readonly payload: unknown
  /** `version` of the task that was enqueued. */
  readonly version: number
  /** ms since 1970, by the clock of the process that enqueued. */
  readonly enqueuedAt: number
  /** ms that it was to wait from then on. */
  readonly delay?: number
  readonly requestId?: string
  /** Trace headers (`traceparent`, ...) of the context that enqueued. */
  readonly trace?: Readonly<Record<string, string>>
}

export interface EnqueueContext {
  /** The caller's transaction, of the kind the engine takes. */
  readonly tx?: unknown
  /**
   * Aborts when nobody waits for the receipts any more: a reason not to send again. Whoever waits has a
   * time limit of their own, and the signal is made when it is first read, which costs more than the rest of a call.
   */
  readonly signal?: AbortSignal
}

export interface Receipt {
  readonly id: string
  /** The id was stored before; nothing has changed. */
  readonly deduplicated?: boolean
  /** This one was not stored; the others were. */
  readonly error?: Error
}

/** Never rejects. What it resolves with is to be recorded before another worker may have the job. */
export type RunJob = (job: ActiveJob) => Promise<JobVerdict>

export interface ActiveJob {
  readonly id: string
  readonly queue: string
  readonly task: string
  readonly data: JobData
  /** 1 for the first. A delivery after `postponed` has the number of the one before. */
  readonly attempt: number
  /** Aborts when the job was cancelled, or was given to another worker. */
  readonly signal: AbortSignal
  /** Keeps a JSON value for `status`. */
  progress (value: unknown): Promise<void>
}

export type JobVerdict =
  /** `result` is JSON or undefined. */
  | { readonly state: 'completed', readonly result: unknown }
  /** For good: kept as a dead letter, to be looked at and run again by hand. */
  | { readonly state: 'failed', readonly error: Error }
  /** To be delivered again `delay` ms later, as the next attempt. */
  | { readonly state: 'retrying', readonly error: Error, readonly delay: number }
  /** To be delivered again `delay` ms later, as the same attempt: this worker cannot run it now. */
  | { readonly state: 'postponed', readonly error: Error, readonly delay: number }
  | { readonly state: 'cancelled', readonly error: Error }

export interface WorkOptions {
  /** Jobs of this queue under way at once in this process. */
  readonly concurrency: number
}

export interface Consumer {
  /**
   * Takes no more jobs. Resolves when the verdicts of those under way are recorded, or `grace` ms later
   * (default: no limit); what then is left is delivered again, to whichever worker asks.
   */
  close (options?: CloseOptions): Promise<void>
}

export interface CloseOptions {
  /** ms */
  readonly grace?: number
}

/** A task's states, in process and in a queue. `scheduled` waits for its delay, `retrying` for its next attempt. */
export type JobState = 'pending' | 'scheduled' | 'running' | 'retrying' | 'completed' | 'failed' | 'cancelled'

/** What is known of a job. Times are ms since 1970. */
export interface JobInfo<State extends string = JobState> {
  readonly id: string
  readonly task: string
  /** `undefined` for a task in this process. */
  readonly queue?: string
  readonly state: State
  /** Attempts begun. */
  readonly attempts: number
  readonly progress?: unknown
  readonly result?: unknown
  /** Of the latest attempt that failed. */
  readonly error?: { readonly name: string, readonly message: string, readonly code?: string }
  readonly enqueuedAt: number
  /** Start of the latest attempt. */
  readonly startedAt?: number
  readonly endedAt?: number
}

export interface Schedule {
  /** 1 to 128 characters. */
  readonly name: string
  /** Five fields, or six where the first is seconds. */
  readonly cron: string
  /** IANA name. Default `UTC`. */
  readonly timezone?: string
  readonly queue: string
  readonly task: string
  readonly data: Omit<JobData, 'enqueuedAt'>
  readonly priority: number
  readonly retry: Readonly<Required<RetryOptions>>
}

export interface Health {
  readonly ok: boolean
  /** ms of one round trip. */
  readonly latency?: number
  /** Settings of the engine that put jobs at risk, each in a sentence with its cure. */
  readonly warnings: readonly string[]
  readonly error?: string
}
