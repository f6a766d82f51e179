import type { Static, TSchema } from '@sinclair/typebox'
import type { FastifyBaseLogger } from 'fastify'
import type { TaskHooks } from './hooks.ts'
import type { Capabilities } from './queue.ts'
import type { RetryOptions } from './retry.ts'

/**
 * The ending of the request that a task runs after.
 *
 * - `success`: the handler answered, whatever the status code.
 * - `error`: a hook, the validation or the handler threw, or `reply.send(error)` was called, even
 *   where an error handler then answered 200.
 * - `always`: both, and also when the client went away and no answer ever came.
 *
 * Outside of a request, and in a worker, it has no meaning, and the task runs.
 */
export type When = 'success' | 'error' | 'always'

/** Options of a task, given when it is defined or when it is added. */
export interface TaskOptions {
  /** Default: the plugin's `when`, which is `success`. */
  when?: When
  /**
   * ms an attempt may take before its `signal` aborts and it counts as failed, 0 to 2,147,483,647;
   * 0 is no limit. Default: the plugin's `timeout`, which is 30,000. Counted for asynchronous tasks
   * only: nothing in a process can stop a synchronous one.
   */
  timeout?: number
  /**
   * Default: none, the task runs once. A number is `attempts`, with the defaults of the others. Given again to
   * `add`, it replaces that of the definition as a whole.
   */
  retry?: number | RetryOptions
  /** Called after the plugin's own hooks of the same names. */
  hooks?: TaskHooks
}

/** Options of a defined task given to `add`. */
export interface AddTaskOptions extends TaskOptions {
  /**
   * 1 to 256 characters: whom the task belongs to, such as the id of a user. Told by `status`, given to `authorize`
   * of the routes, and kept with the job where the task escalates. Default: none.
   */
  owner?: string
}

/** Options of a function given to `add`. */
export interface AddOptions extends TaskOptions {
  /** 1 to 128 characters, no control characters. Default: the function's name, or `anonymous`. */
  name?: string
}

/** One attempt, as its task sees it. It never holds the request or the reply. */
export interface TaskContext {
  /** UUID, the same in every attempt, and in the queue after escalation. Made on the first read. */
  readonly id: string
  /** The definition's, the one in the options of `add`, or the function's. */
  readonly name: string
  /** 1 for the first attempt. */
  readonly attempt: number
  /**
   * Aborts on timeout, on `cancel()` and at the end of a drain; in a worker also when the job goes to
   * another one. `signal.reason` is the coded error. Made on the first read.
   */
  readonly signal: AbortSignal
  /** Child of the request's logger, or of the instance's, with `task` and `taskId`. Made on the first read. */
  readonly log: FastifyBaseLogger
  /** `request.id`, or `undefined` outside of a request. In a worker that of the request that enqueued. */
  readonly requestId: string | undefined
  /**
   * Keeps a JSON value of `maxPayload` bytes at the most for `status`, the latest only: of a job, values that
   * come while another is written replace each other. Does not wait, and never throws: that a value cannot be
   * kept is logged, once for a task in process or an attempt of a job. Of a task that `status` does not know, or
   * after the end of its attempt, nothing is kept.
   */
  progress (value: unknown): void
}

/** The part of a Standard Schema (version 1) validator that is used. */
export interface StandardSchema<Input = unknown, Output = Input> {
  /** The property by which a validator is recognised, whichever library made it. */
  readonly '~standard': {
    /** Of the specification. */
    readonly version: 1
    /** Name of the library. Not used. */
    readonly vendor: string
    /** Called by `add`, `enqueue` and a worker. A promise is refused with FST_ERR_BGT_INVALID_PAYLOAD. */
    readonly validate: (value: unknown) => StandardResult<Output> | Promise<StandardResult<Output>>
    /** For the compiler only: the payload before and after validation. */
    readonly types?: { readonly input: Input, readonly output: Output } | undefined
  }
}

/** The answer of a Standard Schema validator. */
export type StandardResult<Output> =
  /** The payload fits, and `value` is what `run` receives. */
  | { readonly value: Output, readonly issues?: undefined }
  /** It does not fit. The first five issues are named in the error. */
  | { readonly issues: readonly StandardIssue[] }

/** One reason why a payload does not fit. */
export interface StandardIssue {
  /** By the validator, for people. It goes into the error, and so into logs. */
  readonly message: string
  /** Keys from the payload down to the value that does not fit. Default: the payload itself. */
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

/** A TypeBox 0.34 schema or any Standard Schema validator. Validation has to be synchronous. */
export type PayloadSchema = TSchema | StandardSchema

/** The payload as `add` and `enqueue` take it, before validation, for a schema `S`. */
export type PayloadInput<S> =
  S extends TSchema ? Static<S> : S extends StandardSchema<infer Input, unknown> ? Input : undefined

/** The payload as `run` receives it: the validator's output, for a schema `S`. */
export type PayloadOutput<S> =
  S extends TSchema ? Static<S> : S extends StandardSchema<infer _Input, infer Output> ? Output : undefined

/**
 * Reason for a task of this process to go to the queue, as a job of the same id. If the queue does not
 * take it, that is logged, and it ends as it would have without one.
 *
 * - `overflow`: `maxPending` tasks wait.
 * - `shutdown`: it had not run, or not ended, when `drainTimeout` was over. Needs a durable adapter.
 * - `failure`: its last attempt in this process has failed. In the queue it has all its attempts again.
 */
export type EscalationCause = 'overflow' | 'shutdown' | 'failure'

/** A task as `defineTask` takes it. An unknown key or a wrong value is FST_ERR_BGT_INVALID_OPTIONS. */
export interface TaskDefinition<S extends PayloadSchema | undefined = undefined> extends TaskOptions {
  /** 1 to 128 characters, no control characters, unique among the registered tasks. */
  name: string
  /**
   * Schema of the payload. It is checked by `add` and `enqueue`, before anything is kept, and again by a
   * worker. Default: none, the task takes no payload. A schema of another kind, or one that does not
   * compile, is FST_ERR_BGT_INVALID_TASK.
   */
  payload?: S
  /**
   * Causes for which the task goes from this process to the queue. Default: none. Needs an adapter:
   * registering the task without one is FST_ERR_BGT_NO_ADAPTER. The payload then has to be JSON, of
   * `maxPayload` bytes at the most.
   */
  escalate?: EscalationCause[]
  /**
   * Where `enqueue` puts its jobs; a worker takes jobs of all queues or of those it is told. 1 to 64
   * letters, digits, `-` and `_`. Default `default`.
   */
  queue?: string
  /** Among the jobs of a queue: whole number, 1 to 100, the highest first. Default 50. */
  priority?: number
  /**
   * Raise it when the payload changes so that the code before cannot run it: a worker leaves jobs of a
   * higher version to workers of the next release. Whole number from 1. Default 1.
   */
  version?: number
  /**
   * Capabilities that the adapter has to have for this task; registering it with an adapter that lacks one
   * is FST_ERR_BGT_NO_CAPABILITY, and without an adapter FST_ERR_BGT_NO_ADAPTER. Default: none.
   */
  requires?: (keyof Capabilities)[]
  /**
   * The work. It may return a promise; if it throws or rejects, the attempt has failed. The value that it
   * returns is the outcome's `result`. In a queue it runs at least once, so make it idempotent.
   */
  run (payload: PayloadOutput<S>, context: TaskContext): unknown
}

/** A task made by `defineTask`: pass it in the plugin's `tasks`, then to `add`. */
export interface Task<Input = any, Output = any> {
  /** By which a worker finds the task of a job: renamed, it no longer finds jobs of the old name. */
  readonly name: string
  /** `when`, `timeout`, `retry` and `hooks` as they were given, frozen: the plugin's defaults are not in it. */
  readonly options: Readonly<TaskOptions>
  /** As it was given; `[]` by default. */
  readonly escalate: readonly EscalationCause[]
  /** As it was given, or `default`. */
  readonly queue: string
  /** As it was given, or 50. */
  readonly priority: number
  /** As it was given, or 1. */
  readonly version: number
  /** As it was given; `[]` by default. */
  readonly requires: readonly (keyof Capabilities)[]
  /** The function as it was defined, so that a unit test can call it. */
  run (payload: Output, context: TaskContext): unknown
  /**
   * Checks a payload, and returns it as `run` receives it.
   *
   * @throws FST_ERR_BGT_INVALID_PAYLOAD with paths and expectations.
   */
  readonly parse: (payload: Input) => Output
}
