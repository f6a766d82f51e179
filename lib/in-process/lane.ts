import type { FastifyBaseLogger } from 'fastify'
import type { Ending } from '../../types/index.ts'
import type { Attempt } from '../run/attempt.ts'
import type { TaskRun } from '../run/task-run.ts'
import { Fifo, type Linked } from './fifo.ts'
import type { Ringed } from './ring.ts'

/** What runs the tasks of a lane, and what they turn to. */
export interface Owner<Task extends TaskRun & Linked<Task>> {
  /** Lets the tasks of a lane go, one after the other. */
  release (lane: Lane<Task>): void
  /** The request ended in a way that the task is not for. */
  skip (task: Task, reason: Ending): void
  cancel (task: Task): 'cancelled' | 'running' | 'finished'
  /** Somebody has read the task's id, which had none before. */
  identified (task: Task): void
  progress (task: Task, value: unknown): void
  countAbandoned (change: 1 | -1): void
}

/** The tasks of one request, or one task outside of requests: they run in order, one at a time. */
export class Lane<Task extends TaskRun & Linked<Task>> extends Fifo<Task> implements Linked<Lane<Task>>, Ringed<Lane<Task>> {
  readonly owner: Owner<Task>
  readonly log: FastifyBaseLogger
  readonly requestId: string | undefined
  /** The attempt under way. */
  attempt: Attempt<Task> | undefined = undefined
  /** The wait before the first task's next attempt. */
  retryTimer: NodeJS.Timeout | undefined = undefined
  /** Its turn, its attempt or its retry will look for what waits next. */
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

  release (): void {
    this.owner.release(this)
  }
}
