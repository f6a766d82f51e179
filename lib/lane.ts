import type { FastifyBaseLogger } from 'fastify'
import type { Dispatcher } from './dispatcher.ts'
import type { Attempt } from './execute.ts'
import { Fifo, type Linked } from './fifo.ts'
import type { Handle } from './handle.ts'

/** The tasks of one request, or one task outside of requests: they run in order, one at a time. */
export class Lane extends Fifo<Handle> implements Linked<Lane> {
  readonly dispatcher: Dispatcher
  readonly log: FastifyBaseLogger
  readonly requestId: string | undefined
  /** The attempt under way. */
  attempt: Attempt | undefined = undefined
  /** The wait before the first task's next attempt. */
  retryTimer: NodeJS.Timeout | undefined = undefined
  /** Its turn, its attempt or its retry will look for what waits next. */
  active = false
  next: Lane | undefined = undefined

  constructor (dispatcher: Dispatcher, log: FastifyBaseLogger, requestId?: string) {
    super()
    this.dispatcher = dispatcher
    this.log = log
    this.requestId = requestId
  }
}
