import type { Static, TSchema } from '@sinclair/typebox'
import type { FastifyBaseLogger } from 'fastify'
import type { TaskHooks } from './hooks.ts'
import type { Capabilities } from './queue.ts'

/**
 * Which ending of the request a task runs after.
 *
 * - `success`: the handler answered, whatever the status code.
 * - `error`: a hook, the validation or the handler threw, or `reply.send(error)` was called, even
 *   where an error handler then answered 200.
 * - `always`: both, and also when the client went away and no answer ever came.
 *
 * Outside of a request it has no meaning, and the task runs.
 */
export type When = 'success' | 'error' | 'always'

export interface RetryOptions {
  /** How often the task runs at the most, the first time included. Whole number, 1 to 100. Default 3. */
  attempts?: number
  /** ms before the second attempt, 0 to 86,400,000. Default 1,000. */
  delay?: number
  /** `fixed` waits `delay` each time, `exponential` doubles it. Default `exponential`. */
  backoff?: 'fixed' | 'exponential'
  /** ms that a wait never exceeds, 0 to 86,400,000. Default 300,000. */
  maxDelay?: number
  /** Share of a wait, 0 to 1, that is taken off at random, so that tasks that failed together do not return together. Default 0.2. */
  jitter?: number
}

/** What may be said of a task when it is defined, and again when it is added. */
export interface TaskOptions {
  /** Default: the plugin's `when`, which is `success`. */
  when?: When
  /**
   * ms an attempt may take before its `signal` aborts and it counts as failed, 0 to 2,147,483,647;
   * 0 is no limit. Default: the plugin's `timeout`, which is 30,000. Counted for asynchronous tasks
   * only: nothing in a process can stop a synchronous one.
   */
  timeout?: number
  /** Default: none, a task runs once. */
  retry?: RetryOptions
  /** Called after the plugin's own hooks of the same names. */
  hooks?: TaskHooks
}

export interface AddOptions extends TaskOptions {
  /** 1 to 128 characters. Default: the function's name, or `anonymous`. */
  name?: string
}

/** What a task is told about its own run. It never holds the request or the reply. */
export interface TaskContext {
  /** UUID, made on the first read. */
  readonly id: string
  readonly name: string
  /** 1 for the first attempt. */
  readonly attempt: number
  /** Aborts on timeout, on `cancel()` and at the end of a drain; `signal.reason` is the coded error. Made on the first read. */
  readonly signal: AbortSignal
  /** Child of the request's logger with `task` and `taskId`. Made on the first read. */
  readonly log: FastifyBaseLogger
  /** `request.id`, or `undefined` outside of a request. In a worker that of the request that enqueued. */
  readonly requestId: string | undefined
  /** Keeps a JSON value for `status`, the latest only. Does not wait; what cannot be kept is logged. */
  progress (value: unknown): void
}

/** The part of a Standard Schema (version 1) validator that is used. */
export interface StandardSchema<Input = unknown, Output = Input> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => StandardResult<Output> | Promise<StandardResult<Output>>
    readonly types?: { readonly input: Input, readonly output: Output } | undefined
  }
}

export type StandardResult<Output> =
  | { readonly value: Output, readonly issues?: undefined }
  | { readonly issues: readonly StandardIssue[] }

export interface StandardIssue {
  readonly message: string
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

/** A TypeBox 0.34 schema or any Standard Schema validator. Validation has to be synchronous. */
export type PayloadSchema = TSchema | StandardSchema

/** What `add` takes for a payload of schema `S`. */
export type PayloadInput<S> =
  S extends TSchema ? Static<S> : S extends StandardSchema<infer Input, unknown> ? Input : undefined

/** What `run` receives: the validator's output. */
export type PayloadOutput<S> =
  S extends TSchema ? Static<S> : S extends StandardSchema<infer _Input, infer Output> ? Output : undefined

/** When the in-process run hands a task over to the queue adapter. */
export type EscalationCause = 'overflow' | 'shutdown' | 'failure'

export interface TaskDefinition<S extends PayloadSchema | undefined = undefined> extends TaskOptions {
  /** 1 to 128 characters, unique among the registered tasks. */
  name: string
  /** Checked by `add`, before anything is kept. Without one the task takes no payload. */
  payload?: S
  /** Needs an adapter; registering such a task without one is an error. The payload then has to be JSON. */
  escalate?: EscalationCause[]
  /** Where `enqueue` puts it; a worker takes all queues or those it is told. 1 to 64 letters, digits, `-` and `_`. Default `default`. */
  queue?: string
  /** Among the jobs of a queue, 1 to 100, the highest first. Default 50. */
  priority?: number
  /**
   * Raise it when the payload changes so that the code before cannot run it: a worker leaves jobs of a
   * higher version to workers of the next release. Whole number from 1. Default 1.
   */
  version?: number
  /** What the adapter has to be able to do for this task; registering it with one that cannot is an error. */
  requires?: (keyof Capabilities)[]
  run (payload: PayloadOutput<S>, context: TaskContext): unknown
}

/** A task made by `defineTask`: pass it in the plugin's `tasks`, then to `add`. */
export interface Task<Input = any, Output = any> {
  readonly name: string
  readonly options: Readonly<TaskOptions>
  readonly escalate: readonly EscalationCause[]
  readonly queue: string
  readonly priority: number
  readonly version: number
  readonly requires: readonly (keyof Capabilities)[]
  /** The function as it was defined, so that a unit test can call it. */
  run (payload: Output, context: TaskContext): unknown
  /** Validates. Returns what `run` receives; throws `FST_ERR_BGT_INVALID_PAYLOAD`. */
  readonly parse: (payload: Input) => Output
}
