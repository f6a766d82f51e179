import type { Outcome, RetryOptions } from '../../types/index.ts'
import { FST_ERR_BGT_TIMEOUT, toError } from '../errors.ts'
import { isThenable } from '../thenable.ts'
import { Context } from './context.ts'
import type { Handle } from './handle.ts'
import { isRetryable } from './non-retryable.ts'
import { callTraced } from './tracing.ts'

export interface Retry {
  readonly state: 'retrying'
  readonly error: Error
  /** ms */
  readonly delay: number
}

const { then } = Promise.prototype

/** What an attempt comes to: the task's outcome, or another attempt. */
export type Verdict = Outcome | Retry

/**
 * One run of one task. The only place that calls the user's function; whatever that does becomes a
 * verdict, given once to `ended`. A function that goes on after its verdict is counted as abandoned.
 */
export class Attempt {
  readonly handle: Handle
  readonly startedAt: number
  readonly #ended: (attempt: Attempt, verdict: Verdict) => void
  #context: Context | undefined = undefined
  #timer: NodeJS.Timeout | undefined = undefined
  /** Set when it was asked to stop: what follows if it then throws, or does not stop. */
  #stopped: Outcome | undefined = undefined
  running = true

  constructor (handle: Handle, startedAt: number, ended: (attempt: Attempt, verdict: Verdict) => void) {
    this.handle = handle
    this.startedAt = startedAt
    this.#ended = ended
  }

  start (): void {
    if (this.#stopped !== undefined) return this.#end(this.#stopped)
    let result: unknown
    let promise: Promise<unknown> | undefined
    try {
      if (this.handle.form !== 'arguments') this.#context = new Context(this.handle)
      result = callTraced(this.handle, this.#context)
      // As await does it: whatever `then` a foreign or patched thenable has, it is settled once, and later.
      if (isThenable(result)) promise = Promise.resolve(result)
    } catch (error) {
      return this.#fail(error)
    }
    if (promise === undefined) return this.#complete(result)
    void then.call(promise, value => this.#complete(value), error => this.#fail(error))
  }

  /** Starts the clock. */
  watch (): void {
    const { timeout } = this.handle.settings
    if (timeout > 0) this.#timer = setTimeout(() => this.#expire(timeout), timeout)
  }

  stop (outcome: Extract<Outcome, { state: 'cancelled' | 'lost' }>): void {
    if (this.#stopped !== undefined) return
    this.#stopped = outcome
    this.#context?.abort(outcome.error)
  }

  /** Gives up on a function that has been stopped and goes on. */
  abandon (verdict: Verdict = this.#stopped!): void {
    this.handle.lane.owner.accounts.abandoned++
    this.#end(verdict)
  }

  #expire (timeout: number): void {
    const error = new FST_ERR_BGT_TIMEOUT(this.handle.name, timeout)
    this.#context?.abort(error)
    this.abandon(this.#failure(error))
  }

  #complete (result: unknown): void {
    this.#return({ state: 'completed', attempts: this.handle.attempt, result })
  }

  #fail (thrown: unknown): void {
    this.#return(this.#failure(toError(this.handle.name, thrown)))
  }

  #failure (error: Error): Verdict {
    if (this.#stopped !== undefined) return { ...this.#stopped, error } as Outcome
    const { attempt, settings: { retry } } = this.handle
    if (retry === undefined || attempt >= retry.attempts || !isRetryable(error)) {
      return { state: 'failed', attempts: attempt, error }
    }
    return { state: 'retrying', error, delay: backoff(retry, attempt) }
  }

  #return (verdict: Verdict): void {
    if (this.running) this.#end(verdict)
    else this.handle.lane.owner.accounts.abandoned--
  }

  #end (verdict: Verdict): void {
    this.running = false
    if (this.#timer !== undefined) clearTimeout(this.#timer)
    this.#ended(this, verdict)
  }
}

function backoff (retry: Required<RetryOptions>, attempt: number): number {
  const factor = retry.backoff === 'exponential' ? 2 ** (attempt - 1) : 1
  const wait = Math.min(retry.delay * factor, retry.maxDelay)
  return wait * (1 - retry.jitter * Math.random())
}
