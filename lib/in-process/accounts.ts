import type { LossReason, Outcome, Stats, TaskState } from '../../types/index.ts'
import type { Events } from '../run/events.ts'
import type { Retry } from '../run/verdict.ts'
import type { AddedTask } from './added-task.ts'
import type { StatusBook } from './status-book.ts'

export function loss (reason: LossReason, attempts: number, error: Error): Extract<Outcome, { state: 'lost' }> {
  return { state: 'lost', attempts, reason, error }
}

/**
 * Where each task is, to the unit. Every change of a task's state goes through here, is counted, and is then
 * told: to the status book, to events, and at its end to the task itself. By then the attempt, or the timer of
 * the next one, has to stand, as a hook may cancel the task.
 */
export class Accounts {
  readonly #in: Record<TaskState, number> = {
    pending: 0,
    retrying: 0,
    running: 0,
    completed: 0,
    failed: 0,
    skipped: 0,
    cancelled: 0,
    escalated: 0,
    lost: 0
  }

  readonly #events: Events
  readonly #book: StatusBook
  #added = 0
  #abandoned = 0
  readonly #idle = new Set<() => void>()

  constructor (events: Events, book: StatusBook) {
    this.#events = events
    this.#book = book
  }

  get waiting (): number {
    return this.#in.pending + this.#in.retrying
  }

  get retrying (): number {
    return this.#in.retrying
  }

  get running (): number {
    return this.#in.running
  }

  get isIdle (): boolean {
    return this.waiting === 0 && this.#in.running === 0
  }

  add (): void {
    this.#added++
    this.#in.pending++
  }

  start (task: AddedTask): void {
    this.#leave(task.state)
    this.#in.running++
    task.state = 'running'
    if (task.isKnown) this.#book.started(task)
    this.#events.started(task)
  }

  retry (task: AddedTask, retry: Retry): void {
    this.#leave(task.state)
    this.#in.retrying++
    task.state = 'retrying'
    if (task.isKnown) this.#book.failed(task, retry.error)
    this.#events.retrying(task, retry)
  }

  /** Records the one outcome of a task. `startedAt` is of the attempt that led to it, if one did. */
  settle (task: AddedTask, outcome: Outcome, startedAt = 0): void {
    const { state } = outcome
    this.#leave(task.state)
    if (state === 'completed') this.#in.completed++
    else this.#in[state]++
    task.state = state
    task.outcome = outcome
    this.#events.settled(task, outcome, startedAt)
    task.close(outcome)
    if (this.#idle.size > 0 && this.isIdle) for (const tell of this.#idle) tell()
  }

  countAbandoned (change: 1 | -1): void {
    this.#abandoned += change
  }

  /** Resolves when it gets idle: with true, or with false once `ms` are over. */
  idle (ms?: number): Promise<boolean> {
    if (this.isIdle) return Promise.resolve(true)
    return new Promise(resolve => {
      const end = (isIdle: boolean): void => {
        clearTimeout(timer)
        this.#idle.delete(tell)
        resolve(isIdle)
      }
      const tell = (): void => end(true)
      const timer = ms === undefined ? undefined : setTimeout(end, ms, false)
      this.#idle.add(tell)
    })
  }

  stats (): Omit<Stats, 'enqueued'> {
    return { added: this.#added, ...this.#in, pending: this.waiting, abandoned: this.#abandoned }
  }

  /** Named one by one, as a property whose name varies costs some ten times as much. */
  #leave (state: TaskState): void {
    if (state === 'running') this.#in.running--
    else if (state === 'pending') this.#in.pending--
    else this.#in.retrying--
  }
}
