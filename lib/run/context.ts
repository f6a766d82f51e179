import type { FastifyBaseLogger } from 'fastify'
import type { TaskContext } from '../../types/index.ts'
import type { TaskRun } from './task-run.ts'

/** The context of one attempt, as the task's function gets it. Parts that cost something are made on the first read. */
export class Context implements TaskContext {
  readonly attempt: number
  readonly name: string
  readonly requestId: string | undefined
  readonly #run: TaskRun
  #controller: AbortController | undefined = undefined
  #reason: Error | undefined = undefined
  #ended = false
  #log: FastifyBaseLogger | undefined = undefined

  constructor (run: TaskRun) {
    this.attempt = run.attempt
    this.name = run.name
    this.requestId = run.requestId
    this.#run = run
  }

  get id (): string {
    return this.#run.id
  }

  get log (): FastifyBaseLogger {
    return (this.#log ??= this.#run.log.child({ task: this.name, taskId: this.id }))
  }

  get signal (): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.#reason !== undefined) this.#controller.abort(this.#reason)
    }
    return this.#controller.signal
  }

  /** A closure and no method, as functions take their context apart in the parameter list. */
  get progress (): (value: unknown) => void {
    return value => { if (!this.#ended) this.#run.progress(value) }
  }

  /** A function that goes on after its attempt says nothing of the task's progress any more. */
  end (): void {
    this.#ended = true
  }

  abort (reason: Error): void {
    this.#reason = reason
    const controller = this.#controller
    if (controller !== undefined) this.#run.runInAsyncScope(() => controller.abort(reason))
  }
}
