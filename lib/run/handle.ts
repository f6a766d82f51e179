import { AsyncResource } from 'node:async_hooks'
import { randomUUID } from 'node:crypto'
import type { Outcome, TaskContext, TaskHandle, TaskState } from '../../types/index.ts'
import type { Lane } from '../in-process/lane.ts'
import type { TaskSettings } from '../options.ts'

/** How the user's function is called: with `input` spread, with the context, or with `input` as payload and the context. */
export type Form = 'arguments' | 'context' | 'payload'

export type UserFunction = (...args: any[]) => unknown

/**
 * One added task: what waits in a lane, and what `add` returns.
 *
 * It is its own AsyncResource because that is the cheapest way to keep the context of the `add`:
 * a snapshot for each task costs some seventy times as much on Node 20.
 */
export class Handle extends AsyncResource implements TaskHandle {
  readonly name: string
  readonly settings: TaskSettings
  readonly form: Form
  readonly lane: Lane
  state: TaskState = 'pending'
  attempt = 0
  outcome: Outcome | undefined = undefined
  next: Handle | undefined = undefined
  #run: UserFunction | undefined
  #input: unknown
  #id: string | undefined
  #settled: { promise: Promise<Outcome>, resolve: (outcome: Outcome) => void } | undefined = undefined

  constructor (lane: Lane, name: string, settings: TaskSettings, form: Form, run: UserFunction, input: unknown, id?: string) {
    super('BackgroundTask', { requireManualDestroy: true })
    this.lane = lane
    this.name = name
    this.settings = settings
    this.form = form
    this.#run = run
    this.#input = input
    this.#id = id
  }

  get id (): string {
    if (this.#id === undefined) {
      this.#id = randomUUID()
      this.lane.owner.identified?.(this)
    }
    return this.#id
  }

  /** Somebody has read its id. */
  get isKnown (): boolean {
    return this.#id !== undefined
  }

  get payload (): unknown {
    return this.form === 'payload' ? this.#input : undefined
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

  cancel (): 'cancelled' | 'running' | 'finished' {
    return this.lane.owner.cancel(this)
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

  /** Lets go of what belongs to the user, once everybody knows the outcome. */
  close (outcome: Outcome): void {
    this.#run = undefined
    this.#input = undefined
    this.#settled?.resolve(outcome)
    this.emitDestroy()
  }
}
