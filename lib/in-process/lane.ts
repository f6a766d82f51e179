import type { FastifyBaseLogger } from 'fastify'
import type { Attempt } from '../run/attempt.ts'
import type { Handle } from '../run/handle.ts'
import { Fifo, type Linked } from './fifo.ts'
import type { Ringed } from './ring.ts'

/** Whoever runs the tasks of a lane: the dispatcher, or a worker for its one job. */
export interface Owner {
  readonly accounts: { abandoned: number }
  cancel (handle: Handle): 'cancelled' | 'running' | 'finished'
  /** Somebody has read the task's id, which had none before. */
  identified? (handle: Handle): void
  progress (handle: Handle, value: unknown): void
}

/** The tasks of one request, or one task outside of requests: they run in order, one at a time. */
export class Lane extends Fifo<Handle> implements Linked<Lane>, Ringed<Lane> {
  readonly owner: Owner
  readonly log: FastifyBaseLogger
  readonly requestId: string | undefined
  /** The attempt under way. */
  attempt: Attempt | undefined = undefined
  /** The wait before the first task's next attempt. */
  retryTimer: NodeJS.Timeout | undefined = undefined
  /** Its turn, its attempt or its retry will look for what waits next. */
  active = false
  next: Lane | undefined = undefined
  before: Lane | undefined = undefined
  after: Lane | undefined = undefined

  constructor (owner: Owner, log: FastifyBaseLogger, requestId?: string) {
    super()
    this.owner = owner
    this.log = log
    this.requestId = requestId
  }
}
