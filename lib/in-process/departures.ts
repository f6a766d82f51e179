import type { EscalationCause, Outcome } from '../../types/index.ts'
import type { TaskSettings } from '../options.ts'
import type { Events } from '../run/events.ts'
import type { Handle } from '../run/handle.ts'
import { type Accounts, loss } from './accounts.ts'
import type { Escalation } from './escalation.ts'
import type { Lane } from './lane.ts'

/** Tasks that leave this process for the queue, if there is one. */
export class Departures {
  readonly #accounts: Accounts
  readonly #events: Events
  readonly #escalation: Escalation | undefined
  readonly #onEnd: () => void
  /** Those for which there was no room, and why: they leave when their lane is released. */
  readonly #surplus = new Map<Lane, Map<Handle, Error>>()
  readonly #underWay = new Set<Handle>()

  /** @param onEnd called when one has left, or could not. */
  constructor (accounts: Accounts, events: Events, escalation: Escalation | undefined, onEnd: () => void) {
    this.#accounts = accounts
    this.#events = events
    this.#escalation = escalation
    this.#onEnd = onEnd
  }

  wants (settings: TaskSettings, cause: EscalationCause): boolean {
    return this.#escalation !== undefined && this.#escalation.wants(settings, cause)
  }

  has (handle: Handle): boolean {
    return this.#underWay.has(handle)
  }

  /** `overflow` is what becomes of it where the queue does not take it. */
  hold (handle: Handle, overflow: Error): void {
    const { lane } = handle
    const held = this.#surplus.get(lane) ?? new Map<Handle, Error>()
    this.#surplus.set(lane, held.set(handle, overflow))
  }

  release (lane: Lane): void {
    if (this.#surplus.size === 0) return
    for (const [handle, overflow] of this.#surplus.get(lane) ?? []) {
      if (handle.outcome === undefined && !this.has(handle)) this.start(handle, loss('overflow', 0, overflow))
    }
    this.#surplus.delete(lane)
  }

  /** Hands a task over to the queue. `otherwise` is what becomes of it where the queue does not take it. */
  start (handle: Handle, otherwise: Outcome, startedAt?: number): void {
    this.#underWay.add(handle)
    const end = (outcome: Outcome): void => {
      this.#underWay.delete(handle)
      this.#accounts.settle(handle, outcome, startedAt)
      this.#onEnd()
    }
    this.#escalation!.handOver(handle).then(
      () => end({ state: 'escalated', attempts: handle.attempt, id: handle.id }),
      (error: unknown) => {
        this.#events.stranded(handle, error)
        end(otherwise)
      })
  }
}
