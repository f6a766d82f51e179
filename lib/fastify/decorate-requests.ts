import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest, HookHandlerDoneFunction } from 'fastify'
import type { RequestBackgroundTasks } from '../../types/index.ts'
import { FST_ERR_BGT_TOO_EARLY } from '../errors.ts'
import type { Intake } from '../in-process/intake.ts'
import type { Queue } from '../queue/queue.ts'
import { RequestTasks } from './request-tasks.ts'
import { watchResponse } from './response-end.ts'
import { kErrored, kReply, kTasks } from './symbols.ts'

type Slots = FastifyRequest & { [kReply]?: FastifyReply, [kErrored]?: boolean, [kTasks]?: RequestTasks }

/** Gives each request its `backgroundTasks`, made when it is first read. @param abortGrace ms */
export function decorateRequests (app: FastifyInstance, intake: Intake, queue: Queue, abortGrace: number): void {
  app.decorateRequest('backgroundTasks', {
    getter (this: Slots): RequestBackgroundTasks {
      return (this[kTasks] ??= collect(this))
    }
  })
  app.addHook('onRequest', rememberReply)
  app.addHook('onError', rememberError)

  function collect (request: Slots): RequestTasks {
    const reply = request[kReply]
    if (reply === undefined) throw new FST_ERR_BGT_TOO_EARLY()
    const tasks = new RequestTasks(intake, queue, request)
    watchResponse(request, reply, tasks, abortGrace)
    return tasks
  }
}

function rememberReply (request: Slots, reply: FastifyReply, done: HookHandlerDoneFunction): void {
  request[kReply] = reply
  done()
}

function rememberError (request: Slots, reply: FastifyReply, _error: FastifyError, done: () => void): void {
  request[kErrored] = true
  // Not known yet where an earlier plugin's onRequest hook threw.
  request[kReply] = reply
  done()
}
