import { performance } from 'node:perf_hooks'
// Taken here, so that a test's fake timers do not look like a loop that stood still.
import { clearInterval, setInterval } from 'node:timers'
import type { Events } from './events.ts'
import type { TaskRun } from './task-run.ts'

/** ms after which an event loop that stood still is told of. */
export const BLOCKING = 100

/** ms between two looks. */
const INTERVAL = 100

/** An attempt, as far as it matters here. */
interface Begun {
  readonly run: TaskRun
  readonly startedAt: number
}

/** Runs attempts: the dispatcher, or a worker. */
export interface Runner {
  /** How many run now. */
  running (): number
  attempts (): Iterable<Begun>
}

/**
 * Looks for an event loop that stands still while a task runs, after its first await. It names the task only
 * where no other ran at the time, and even then cannot tell it from a request, which shares the loop. It sees
 * nothing of a loop that never goes on.
 */
export class LoopWatch {
  readonly #events: Events
  readonly #runners = new Set<Runner>()
  #timer: NodeJS.Timeout | undefined = undefined
  #lookedAt = 0
  /** Attempts that have ended since the latest look, and one of them. */
  #ended = 0
  #latest: Begun | undefined = undefined

  constructor (events: Events) {
    this.#events = events
  }

  add (runner: Runner): void {
    this.#runners.add(runner)
  }

  /** An attempt goes on after its synchronous part. */
  wake (): void {
    if (this.#timer !== undefined) return
    this.#lookedAt = performance.now()
    this.#timer = setInterval(() => this.#look(), INTERVAL).unref()
  }

  ended (attempt: Begun): void {
    if (this.#timer === undefined) return
    this.#ended++
    this.#latest = attempt
  }

  #look (): void {
    const before = this.#lookedAt
    const now = this.#lookedAt = performance.now()
    const blocked = now - before - INTERVAL
    let running = 0
    for (const runner of this.#runners) running += runner.running()
    if (blocked > BLOCKING && running + this.#ended === 1) this.#tell(before, blocked)
    this.#ended = 0
    this.#latest = undefined
    if (running > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #tell (since: number, blocked: number): void {
    const attempt = this.#latest ?? [...this.#runners].flatMap(runner => [...runner.attempts()])[0]!
    // One that began in between was told of with its synchronous part.
    if (attempt.startedAt < since) this.#events.mayHaveBlocked(attempt.run, blocked)
  }
}
