import type { FastifyRequest } from 'fastify'
import type { Ending, Enqueued, EnqueueOptions, RequestBackgroundTasks, Task, TaskHandle, When } from '../../types/index.ts'
import type { Intake } from '../in-process/intake.ts'
import { Lane } from '../in-process/lane.ts'
import type { Origin } from '../queue/job.ts'
import type { Handle } from '../run/handle.ts'

/** `request.backgroundTasks`: holds the tasks of a request until its response is over. Runs nothing. */
export class Collector implements RequestBackgroundTasks {
  readonly #intake: Intake
  readonly #lane: Lane
  readonly #request: FastifyRequest
  #ending: Ending | undefined = undefined

  constructor (intake: Intake, request: FastifyRequest) {
    this.#intake = intake
    this.#request = request
    this.#lane = new Lane(intake.dispatcher, request.log, request.id)
  }

  add (first: unknown, ...rest: unknown[]): TaskHandle {
    const handle = this.#intake.add(this.#lane, first, rest, this.#request)
    if (this.#ending !== undefined) {
      this.#judge(handle, this.#ending)
      this.#intake.dispatcher.release(this.#lane)
    }
    return handle
  }

  enqueue (task: Task, payload?: unknown, options?: EnqueueOptions): Promise<Enqueued> {
    return this.#intake.queue.enqueue(this.#origin, task, payload, options)
  }

  enqueueMany (task: Task, payloads: readonly unknown[], options?: EnqueueOptions): Promise<Enqueued[]> {
    return this.#intake.queue.enqueueMany(this.#origin, task, payloads, options)
  }

  get #origin (): Origin {
    return { requestId: this.#request.id, headers: this.#request.headers }
  }

  /** The response is over: lets the tasks go that are for such an ending. */
  end (ending: Ending): void {
    if (this.#ending !== undefined) return
    this.#ending = ending
    for (let handle = this.#lane.head; handle !== undefined; handle = handle.next) this.#judge(handle, ending)
    this.#intake.dispatcher.release(this.#lane)
  }

  #judge (handle: Handle, ending: Ending): void {
    if (handle.outcome === undefined && !suits(handle.settings.when, ending)) {
      this.#intake.dispatcher.accounts.settle(handle, { state: 'skipped', attempts: 0, reason: ending })
    }
  }
}

function suits (when: When, ending: Ending): boolean {
  return when === 'always' || ending === (when === 'success' ? 'answered' : 'errored')
}
