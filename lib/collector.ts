import type { FastifyRequest } from 'fastify'
import type { Ending, RequestBackgroundTasks, TaskHandle, When } from '../types/index.ts'
import type { Handle } from './handle.ts'
import type { Intake } from './intake.ts'
import { Lane } from './lane.ts'

/** `request.backgroundTasks`: holds the tasks of a request until its response is over. Runs nothing. */
export class Collector implements RequestBackgroundTasks {
  readonly #intake: Intake
  readonly #lane: Lane
  #ending: Ending | undefined = undefined

  constructor (intake: Intake, { id, log }: FastifyRequest) {
    this.#intake = intake
    this.#lane = new Lane(intake.dispatcher, log, id)
  }

  add (first: unknown, ...rest: unknown[]): TaskHandle {
    const handle = this.#intake.add(this.#lane, first, rest)
    if (this.#ending !== undefined) {
      this.#judge(handle, this.#ending)
      this.#intake.dispatcher.release(this.#lane)
    }
    return handle
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
