import type { FastifyBaseLogger } from 'fastify'
import type { Ending } from '../../types/index.ts'
import { Attempt } from '../run/attempt.ts'
import type { TaskRun } from '../run/task-run.ts'
import { Fifo, type Linked } from './fifo.ts'
import type { Ringed } from './ring.ts'

/** Runs the tasks of a lane, and does what they ask for. */
export interface Owner<Task extends TaskRun & Linked<Task>> {
  /** Lets the tasks of a lane go, one after the other. */
  release (lane: Lane<Task>): void
  /** Settles a task whose request ended otherwise than its `when` says. */
  skip (task: Task, reason: Ending): void
  cancel (task: Task): 'cancelled' | 'running' | 'finished'
  /** Learns that the task's id was made, as somebody has read it. */
  identified (task: Task): void
  progress (task: Task, value: unknown): void
  countAbandoned (change: 1 | -1): void
}

/** The tasks of one request, or one task outside of requests: they run in order, one at a time. */
export class Lane<Task extends TaskRun & Linked<Task>>
  extends Fifo<Task> implements Linked<Lane<Task>>, Ringed<Lane<Task>> {
  readonly owner: Owner<Task>
  readonly log: FastifyBaseLogger
  readonly requestId: string | undefined
  /** The attempt under way, or the wait before the first task's next one: in one field, as many lanes wait. */
  current: Attempt<Task> | NodeJS.Timeout | undefined = undefined
  /** A turn, an attempt or a retry is to come, which will look for the next task. */
  active = false
  next: Lane<Task> | undefined = undefined
  before: Lane<Task> | undefined = undefined
  after: Lane<Task> | undefined = undefined

  constructor (owner: Owner<Task>, log: FastifyBaseLogger, requestId?: string) {
    super()
    this.owner = owner
    this.log = log
    this.requestId = requestId
  }

  get attempt (): Attempt<Task> | undefined {
    return this.current instanceof Attempt ? this.current : undefined
  }

  get retryTimer (): NodeJS.Timeout | undefined {
    return this.current instanceof Attempt ? undefined : this.current
  }

  release (): void {
    this.owner.release(this)
  }
}
