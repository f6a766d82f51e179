import { randomUUID } from 'node:crypto'
import type { FastifyBaseLogger } from 'fastify'
import type { Ending, Outcome, TaskContext, TaskHandle, TaskState } from '../../types/index.ts'
import { TaskRun } from '../run/task-run.ts'
import type { TaskSettings } from '../task/settings.ts'
import type { Linked } from './fifo.ts'
import type { Lane } from './lane.ts'

/** How the user's function is called: with `input` spread, with the context, or with `input` and the context. */
export type Form = 'arguments' | 'context' | 'payload'

export type UserFunction = (...args: any[]) => unknown

/** One added task: what waits in a lane, and what `add` returns. It keeps the async context of the `add`. */
export class AddedTask extends TaskRun implements TaskHandle, Linked<AddedTask> {
  readonly form: Form
  readonly lane: Lane<AddedTask>
  outcome: Outcome | undefined = undefined
  next: AddedTask | undefined = undefined
  #run: UserFunction | undefined
  #input: unknown
  #id: string | undefined = undefined
  #settled: { promise: Promise<Outcome>, resolve: (outcome: Outcome) => void } | undefined = undefined

  constructor (
    lane: Lane<AddedTask>, name: string, settings: TaskSettings, form: Form, run: UserFunction, input: unknown
  ) {
    super(name, settings, 'pending', 0)
    this.lane = lane
    this.form = form
    this.#run = run
    this.#input = input
  }

  get id (): string {
    if (this.#id === undefined) {
      this.#id = randomUUID()
      const { owner } = this.lane
      owner.identified(this)
    }
    return this.#id
  }

  /** Somebody has read its id. */
  get isKnown (): boolean {
    return this.#id !== undefined
  }

  get log (): FastifyBaseLogger {
    return this.lane.log
  }

  get requestId (): string | undefined {
    return this.lane.requestId
  }

  get payload (): unknown {
    return this.form === 'payload' ? this.#input : undefined
  }

  get takesContext (): boolean {
    return this.form !== 'arguments'
  }

  get settled (): Promise<Outcome> {
    if (this.outcome !== undefined) return Promise.resolve(this.outcome)
    if (this.#settled === undefined) {
      let resolve!: (outcome: Outcome) => void
      const promise = new Promise<Outcome>(_resolve => { resolve = _resolve })
      this.#settled = { promise, resolve }
    }
    return this.#settled.promise
  }

  skip (reason: Ending): void {
    const { owner } = this.lane
    owner.skip(this, reason)
  }

  cancel (): 'cancelled' | 'running' | 'finished' {
    const { owner } = this.lane
    return owner.cancel(this)
  }

  toJSON (): { id: string, name: string, state: TaskState } {
    return { id: this.id, name: this.name, state: this.state }
  }

  call (context: TaskContext | undefined): unknown {
    const run = this.#run!
    switch (this.form) {
      case 'arguments': return run(...this.#input as unknown[])
      case 'context': return run(context)
      case 'payload': return run(this.#input, context)
    }
  }

  progress (value: unknown): void {
    const { owner } = this.lane
    owner.progress(this, value)
  }

  countAbandoned (change: 1 | -1): void {
    const { owner } = this.lane
    owner.countAbandoned(change)
  }

  /** Drops the user's function and input, once everybody knows the outcome. */
  close (outcome: Outcome): void {
    this.#run = undefined
    this.#input = undefined
    this.#settled?.resolve(outcome)
    this.emitDestroy()
  }
}
