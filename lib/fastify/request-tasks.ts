import type { FastifyRequest } from 'fastify'
import type {
  Ending, Enqueued, EnqueueOptions, RequestBackgroundTasks, Task, TaskHandle, When
} from '../../types/index.ts'
import type { AddedTask } from '../in-process/added-task.ts'
import type { Intake } from '../in-process/intake.ts'
import type { Lane } from '../in-process/lane.ts'
import type { Origin } from '../queue/jobs.ts'
import type { Queue } from '../queue/queue.ts'
import { awaitAnswer } from './response-end.ts'

/** `request.backgroundTasks`: holds the tasks of a request until its response is over. It runs nothing. */
export class RequestTasks implements RequestBackgroundTasks {
  readonly #intake: Intake
  readonly #queue: Queue
  #lane: Lane<AddedTask>
  readonly #request: FastifyRequest
  #ending: Ending | undefined = undefined

  constructor (intake: Intake, queue: Queue, request: FastifyRequest) {
    this.#intake = intake
    this.#queue = queue
    this.#request = request
    this.#lane = intake.lane(request.log, request.id)
  }

  add (first: unknown, ...rest: unknown[]): TaskHandle {
    if (this.#ending === 'unanswered') this.#reopen()
    const task = this.#intake.add(this.#lane, first, rest, this.#request)
    if (this.#ending !== undefined) {
      this.#judge(task, this.#ending)
      this.#lane.release()
    }
    return task
  }

  enqueue (task: Task, payload?: unknown, options?: EnqueueOptions): Promise<Enqueued> {
    return this.#queue.enqueue(this.#origin, task, payload, options)
  }

  enqueueMany (task: Task, payloads: readonly unknown[], options?: EnqueueOptions): Promise<Enqueued[]> {
    return this.#queue.enqueueMany(this.#origin, task, payloads, options)
  }

  get #origin (): Origin {
    return { requestId: this.#request.id, headers: this.#request.headers }
  }

  /**
   * Releases the tasks that are for such an ending, as the response is over, and skips the others. Says whether
   * there were any.
   */
  end (ending: Ending): boolean {
    if (this.#ending !== undefined) return false
    this.#ending = ending
    // A hook of a task that is skipped may add another, which gets another lane.
    const lane = this.#lane
    const { head } = lane
    for (let task = head; task !== undefined; task = task.next) this.#judge(task, ending)
    lane.release()
    return head !== undefined
  }

  /** The handler goes on after its grace. The lane may be running tasks already, so what it adds now gets another. */
  #reopen (): void {
    this.#ending = undefined
    this.#lane = this.#intake.lane(this.#request.log, this.#request.id)
    awaitAnswer(this.#request)
  }

  #judge (task: AddedTask, ending: Ending): void {
    if (task.outcome === undefined && !suits(task.settings.when, ending)) task.skip(ending)
  }
}

function suits (when: When, ending: Ending): boolean {
  return when === 'always' || ending === (when === 'success' ? 'answered' : 'errored')
}
