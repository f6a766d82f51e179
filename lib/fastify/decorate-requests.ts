import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { RequestBackgroundTasks } from '../../types/index.ts'
import { FST_ERR_BGT_TOO_EARLY } from '../errors.ts'
import type { Intake } from '../in-process/intake.ts'
import type { Queue } from '../queue/queue.ts'
import { RequestTasks } from './request-tasks.ts'
import type { RequestsUnderWay } from './requests-under-way.ts'
import { ResponseEnds } from './response-end.ts'
import { kErrored, kReply, kTasks } from './symbols.ts'

type Slots = FastifyRequest & { [kReply]?: FastifyReply, [kErrored]?: boolean, [kTasks]?: RequestTasks }

/** Gives each request its `backgroundTasks`, made when it is first read. @param abortGrace ms */
export function decorateRequests (
  app: FastifyInstance, intake: Intake, queue: Queue, requests: RequestsUnderWay, abortGrace: number
): void {
  const responseEnds = new ResponseEnds(abortGrace)
  intake.onCrowded = () => responseEnds.endOldest()

  app.decorateRequest('backgroundTasks', {
    getter (this: Slots): RequestBackgroundTasks {
      return (this[kTasks] ??= collect(this))
    }
  })
  app.addHook('onRequest', (request: Slots, reply, done) => {
    request[kReply] = reply
    // Called for every request: one look.
    if ('_lightMyRequest' in request.raw) requests.add(reply.raw)
    done()
  })
  app.addHook('onError', rememberError)

  function collect (request: Slots): RequestTasks {
    const reply = request[kReply]
    if (reply === undefined) throw new FST_ERR_BGT_TOO_EARLY()
    const tasks = new RequestTasks(intake, queue, request)
    responseEnds.watch(request, reply, tasks)
    return tasks
  }
}

function rememberError (request: Slots, reply: FastifyReply, _error: FastifyError, done: () => void): void {
  request[kErrored] = true
  // It is not known yet if an earlier plugin's onRequest hook threw.
  request[kReply] = reply
  done()
}
