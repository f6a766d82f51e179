import type { LossReason, Outcome, Stats, TaskState } from '../../types/index.ts'
import type { Events } from '../run/events.ts'
import type { Handle } from '../run/handle.ts'

export function loss (reason: LossReason, attempts: number, error: Error): Extract<Outcome, { state: 'lost' }> {
  return { state: 'lost', attempts, reason, error }
}

/** Where each task is, to the unit. Every change of a task's state goes through here. */
export class Accounts {
  added = 0
  abandoned = 0
  readonly in: Record<TaskState, number> = {
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
  #idle: (() => void)[] = []

  constructor (events: Events) {
    this.#events = events
  }

  get waiting (): number {
    return this.in.pending + this.in.retrying
  }

  get isIdle (): boolean {
    return this.waiting === 0 && this.in.running === 0
  }

  open (): void {
    this.added++
    this.in.pending++
  }

  move (handle: Handle, state: 'running' | 'retrying'): void {
    this.#leave(handle.state)
    if (state === 'running') this.in.running++
    else this.in.retrying++
    handle.state = state
  }

  /** Records the one outcome of a task and tells it to whom it concerns. */
  settle (handle: Handle, outcome: Outcome, startedAt = 0): void {
    const { state } = outcome
    this.#leave(handle.state)
    if (state === 'completed') this.in.completed++
    else this.in[state]++
    handle.state = state
    handle.outcome = outcome
    this.#events.settled(handle, outcome, startedAt)
    handle.close(outcome)
    if (this.#idle.length > 0 && this.isIdle) {
      for (const resolve of this.#idle.splice(0)) resolve()
    }
  }

  /** Named one by one, as a property whose name varies costs some ten times as much. */
  #leave (state: TaskState): void {
    if (state === 'running') this.in.running--
    else if (state === 'pending') this.in.pending--
    else this.in.retrying--
  }

  idle (): Promise<void> {
    return this.isIdle ? Promise.resolve() : new Promise(resolve => { this.#idle.push(resolve) })
  }

  stats (): Omit<Stats, 'enqueued'> {
    return { added: this.added, ...this.in, pending: this.waiting, abandoned: this.abandoned }
  }
}
