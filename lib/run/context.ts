import type { FastifyBaseLogger } from 'fastify'
import type { TaskContext } from '../../types/index.ts'
import type { Handle } from './handle.ts'

/** What a task is told about one attempt. Whatever costs something is made when it is read. */
export class Context implements TaskContext {
  readonly attempt: number
  readonly name: string
  readonly requestId: string | undefined
  readonly #handle: Handle
  #controller: AbortController | undefined = undefined
  #reason: Error | undefined = undefined
  #log: FastifyBaseLogger | undefined = undefined

  constructor (handle: Handle) {
    this.attempt = handle.attempt
    this.name = handle.name
    this.requestId = handle.lane.requestId
    this.#handle = handle
  }

  get id (): string {
    return this.#handle.id
  }

  get log (): FastifyBaseLogger {
    return (this.#log ??= this.#handle.lane.log.child({ task: this.name, taskId: this.id }))
  }

  get signal (): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.#reason !== undefined) this.#controller.abort(this.#reason)
    }
    return this.#controller.signal
  }

  /** A function of its own, as contexts are taken apart in parameter lists. */
  get progress (): (value: unknown) => void {
    return value => { this.#handle.lane.owner.progress(this.#handle, value) }
  }

  abort (reason: Error): void {
    this.#reason = reason
    const controller = this.#controller
    if (controller !== undefined) this.#handle.runInAsyncScope(() => controller.abort(reason))
  }
}
