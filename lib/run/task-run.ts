import { AsyncResource } from 'node:async_hooks'
import type { FastifyBaseLogger } from 'fastify'
import type { TaskContext, TaskState } from '../../types/index.ts'
import type { TaskSettings } from '../task/settings.ts'

/**
 * The run of one task, as attempts and events know it: an added task in process, a job in a worker.
 *
 * It is its own AsyncResource because that is the cheapest way to keep the async context in which it was
 * made: a snapshot for each task costs some seventy times as much on Node 20.
 */
export abstract class TaskRun extends AsyncResource {
  readonly name: string
  readonly settings: TaskSettings
  state: TaskState
  /** The number of the latest attempt. */
  attempt: number

  constructor (name: string, settings: TaskSettings, state: TaskState, attempt: number) {
    super('BackgroundTask', { requireManualDestroy: true })
    this.name = name
    this.settings = settings
    this.state = state
    this.attempt = attempt
  }

  abstract get id (): string
  abstract get log (): FastifyBaseLogger
  abstract get requestId (): string | undefined
  /** Of a defined task, else `undefined`. */
  abstract get payload (): unknown
  /** Whether its function is told about the attempt. */
  abstract get takesContext (): boolean

  /** Calls the user's function. */
  abstract call (context: TaskContext | undefined): unknown
  abstract progress (value: unknown): void
  /** Counts 1 when an attempt is given up whose function goes on, and -1 when such a function has returned. */
  abstract countAbandoned (change: 1 | -1): void
}
