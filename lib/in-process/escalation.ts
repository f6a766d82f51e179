import type { EscalationCause, Outcome, Task } from '../../types/index.ts'
import type { Origin } from '../queue/jobs.ts'
import { injectHeaders } from '../queue/trace.ts'
import type { Producer } from '../queue/producer.ts'
import type { Events } from '../run/events.ts'
import type { TaskSettings } from '../task/settings.ts'
import { type Accounts, loss } from './accounts.ts'
import type { AddedTask } from './added-task.ts'
import type { Lane } from './lane.ts'

type TaskLane = Lane<AddedTask>

/** Tasks that leave this process for the queue. Where there is none, it takes nothing. */
export class Escalation {
  readonly #accounts: Accounts
  readonly #events: Events
  readonly #producer: Producer | undefined
  readonly #takesOverflow: boolean
  readonly #headers = new WeakMap<TaskLane, Origin['headers']>()
  /** Tasks for which there was no room, and why: they leave when their lane is released. */
  readonly #surplus = new Map<TaskLane, Map<AddedTask, Error>>()
  readonly #underWay = new Set<AddedTask>()

  constructor (accounts: Accounts, events: Events, producer: Producer | undefined, overflow: 'reject' | 'drop' | 'escalate') {
    this.#accounts = accounts
    this.#events = events
    this.#producer = producer
    this.#takesOverflow = overflow === 'escalate'
  }

  takes ({ task }: TaskSettings, cause: EscalationCause): boolean {
    if (task === undefined || this.#producer === undefined) return false
    return task.escalate.includes(cause) || (cause === 'overflow' && this.#takesOverflow)
  }

  /** Whether a task may leave some day: then its payload has to be JSON. */
  mayTake (task: Task): boolean {
    return this.#producer !== undefined && (task.escalate.length > 0 || this.#takesOverflow)
  }

  /**
   * Checks that the queue can keep the payload, and keeps what a job says of the request, as tasks must not
   * hold that itself.
   *
   * @throws FST_ERR_BGT_INVALID_PAYLOAD, FST_ERR_BGT_PAYLOAD_TOO_LARGE
   */
  prepare (lane: TaskLane, task: Task, payload: unknown, request: Origin | undefined): void {
    this.#producer!.jobs.check(task, payload)
    if (request !== undefined && !this.#headers.has(lane)) this.#headers.set(lane, injectHeaders(request))
  }

  has (task: AddedTask): boolean {
    return this.#underWay.has(task)
  }

  /** Keeps a task until its lane is released. `overflow` is what becomes of it where the queue does not take it. */
  hold (task: AddedTask, overflow: Error): void {
    const { lane } = task
    const held = this.#surplus.get(lane) ?? new Map<AddedTask, Error>()
    this.#surplus.set(lane, held.set(task, overflow))
  }

  release (lane: TaskLane): void {
    if (this.#surplus.size === 0) return
    for (const [task, overflow] of this.#surplus.get(lane) ?? []) {
      if (task.outcome === undefined && !this.has(task)) void this.take(task, loss('overflow', 0, overflow))
    }
    this.#surplus.delete(lane)
  }

  /**
   * Hands a task over to the queue, as a job of the same id. `otherwise` is what becomes of it where the queue
   * does not take it. Resolves once it is settled, and never rejects.
   */
  async take (task: AddedTask, otherwise: Outcome, startedAt?: number): Promise<void> {
    this.#underWay.add(task)
    let outcome = otherwise
    try {
      await this.#send(task)
      outcome = { state: 'escalated', attempts: task.attempt, id: task.id }
    } catch (error) {
      this.#events.stranded(task, error)
    }
    this.#underWay.delete(task)
    this.#accounts.settle(task, outcome, startedAt)
  }

  async #send (task: AddedTask): Promise<void> {
    const { settings, payload, id, lane, requestId } = task
    const origin = { requestId, headers: this.#headers.get(lane) }
    const producer = this.#producer!
    const job = task.runInAsyncScope(() => producer.jobs.make(settings, payload, origin, { id }))
    await producer.send(job)
  }
}
