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
type Overflow = 'reject' | 'drop' | 'escalate'

/** Hands tasks of this process over to the queue. Without a queue, it takes none. */
export class Escalation {
  readonly #accounts: Accounts
  readonly #events: Events
  readonly #producer: Producer | undefined
  readonly #takesOverflow: boolean
  readonly #headers = new WeakMap<TaskLane, Origin['headers']>()
  /** Tasks for which there was no room, and why: they leave when their lane is released. */
  readonly #surplus = new Map<TaskLane, Map<AddedTask, Error>>()
  /** Each with what ends the wait for the queue's answer. */
  readonly #underWay = new Map<AddedTask, (error: Error) => void>()

  constructor (accounts: Accounts, events: Events, producer: Producer | undefined, overflow: Overflow) {
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
   * Checks that the queue can keep the payload, and keeps the headers that a job needs of the request: a task
   * must not hold the request itself.
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

  /** The names of the tasks on their way. */
  names (): string[] {
    return Array.from(this.#underWay.keys(), ({ name }) => name)
  }

  /** Keeps a task until its lane is released. If the queue then does not take it, it is lost, by `overflow`. */
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
   * Hands a task over to the queue, as a job of the same id. `otherwise` is its outcome if the queue does not
   * take it. Resolves once the task is settled, and never rejects.
   */
  async take (task: AddedTask, otherwise: Outcome, startedAt?: number): Promise<void> {
    let outcome = otherwise
    try {
      await Promise.race([this.#send(task), this.#givenUp(task)])
      outcome = { state: 'escalated', attempts: task.attempt, id: task.id }
    } catch (error) {
      this.#events.stranded(task, error)
    }
    this.#underWay.delete(task)
    this.#accounts.settle(task, outcome, startedAt)
  }

  /** Does not wait for answers of the queue any more. The jobs may be stored all the same. */
  giveUp (): void {
    for (const end of this.#underWay.values()) end(new Error('no answer before the application had to close'))
  }

  #givenUp (task: AddedTask): Promise<never> {
    return new Promise((_resolve, reject) => { this.#underWay.set(task, reject) })
  }

  async #send (task: AddedTask): Promise<void> {
    const { settings, payload, id, lane, requestId } = task
    const origin = { requestId, headers: this.#headers.get(lane) }
    const producer = this.#producer!
    // Again, as an attempt may have changed it.
    producer.jobs.check(settings.task!, payload)
    const job = task.runInAsyncScope(() => producer.jobs.make(settings, payload, origin, { id, owner: settings.owner }))
    await producer.send(job)
  }
}
