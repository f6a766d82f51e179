import type { RetryOptions } from '../../types/index.ts'
import { FST_ERR_BGT_TIMEOUT, toError } from '../errors.ts'
import { isThenable } from '../thenable.ts'
import { Context } from './context.ts'
import { isRetryable } from './non-retryable.ts'
import type { TaskRun } from './task-run.ts'
import { callTraced } from './tracing.ts'
import type { Stop, Verdict } from './verdict.ts'

/**
 * One run of a task's function, and the only place that calls it. It makes a verdict of whatever the function
 * does, and gives it once to `ended`. A function that goes on after its verdict is counted as abandoned.
 */
export class Attempt<Run extends TaskRun = TaskRun> {
  readonly run: Run
  readonly startedAt: number
  readonly #ended: (attempt: Attempt<Run>, verdict: Verdict) => void
  #context: Context | undefined = undefined
  #timer: NodeJS.Timeout | undefined = undefined
  #stop: Stop | undefined = undefined
  running = true

  constructor (run: Run, startedAt: number, ended: (attempt: Attempt<Run>, verdict: Verdict) => void) {
    this.run = run
    this.startedAt = startedAt
    this.#ended = ended
  }

  start (): void {
    if (this.#stop !== undefined) return this.#end(this.#stop)
    let result: unknown
    let isPending: boolean
    try {
      if (this.run.takesContext) this.#context = new Context(this.run)
      result = callTraced(this.run, this.#context)
      isPending = isThenable(result)
    } catch (error) {
      return this.#fail(error)
    }
    if (isPending) void this.#follow(result)
    else this.#complete(result)
  }

  /** By await, which settles once and later, whatever `then` or `constructor` a foreign or patched thenable has. */
  async #follow (result: unknown): Promise<void> {
    let value: unknown
    try {
      value = await result
    } catch (error) {
      return this.#fail(error)
    }
    this.#complete(value)
  }

  /** Starts the clock. */
  watch (): void {
    const { timeout } = this.run.settings
    if (timeout > 0) this.#timer = setTimeout(() => this.#expire(timeout), timeout)
  }

  /** Asks the function to end, by its signal. */
  stop (stop: Stop): void {
    if (this.#stop !== undefined) return
    this.#stop = stop
    this.#context?.abort(stop.error)
  }

  /** Gives up on a function that has been stopped and goes on. */
  abandon (verdict: Verdict = this.#stop!): void {
    this.run.countAbandoned(1)
    this.#end(verdict)
  }

  #expire (timeout: number): void {
    const error = new FST_ERR_BGT_TIMEOUT(this.run.name, timeout)
    this.#context?.abort(error)
    this.abandon(this.#failure(error))
  }

  #complete (result: unknown): void {
    this.#return({ state: 'completed', attempts: this.run.attempt, result })
  }

  #fail (thrown: unknown): void {
    this.#return(this.#failure(toError(this.run.name, thrown)))
  }

  #failure (error: Error): Verdict {
    if (this.#stop !== undefined) return { ...this.#stop, error }
    const { attempt, settings: { retry } } = this.run
    if (retry === undefined || attempt >= retry.attempts || !isRetryable(error)) {
      return { state: 'failed', attempts: attempt, error }
    }
    return { state: 'retrying', error, delay: backoff(retry, attempt) }
  }

  #return (verdict: Verdict): void {
    if (this.running) this.#end(verdict)
    else this.run.countAbandoned(-1)
  }

  #end (verdict: Verdict): void {
    this.running = false
    this.#context?.end()
    if (this.#timer !== undefined) clearTimeout(this.#timer)
    this.#ended(this, verdict)
  }
}

function backoff (retry: Required<RetryOptions>, attempt: number): number {
  const factor = retry.backoff === 'exponential' ? 2 ** (attempt - 1) : 1
  const wait = Math.min(retry.delay * factor, retry.maxDelay)
  return wait * (1 - retry.jitter * Math.random())
}
