import type { ServerResponse } from 'node:http'
import type { Http2ServerResponse } from 'node:http2'
import type { Socket } from 'node:net'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Ending } from '../../types/index.ts'
import type { RequestTasks } from './request-tasks.ts'
import { kErrored, kPipelined, kWatch } from './symbols.ts'

type Raw = ServerResponse | Http2ServerResponse
type WatchedReply = FastifyReply & { [kWatch]?: Watch }
type WatchedSocket = Socket & { [kPipelined]?: Set<Watch> }

interface Watch {
  readonly request: FastifyRequest & { [kErrored]?: boolean }
  readonly reply: FastifyReply
  readonly tasks: RequestTasks
  readonly abortGrace: number
  readonly send: FastifyReply['send']
  /** The handler has answered, or something has thrown. */
  isSent: boolean
  isClosed: boolean
  pipelined: Set<Watch> | undefined
  timer: NodeJS.Timeout | undefined
}

/**
 * Tells the request's tasks once that the response is over, and how the request ended.
 *
 * `close` of the raw response is the one event that comes every time: `finish`, and with it Fastify's
 * onResponse, is missing after an HTTP/1 abort. What `close` does not say is whether the handler is done.
 */
export function watchResponse (request: FastifyRequest, reply: WatchedReply, tasks: RequestTasks, abortGrace: number): void {
  const { raw } = reply
  const watch: Watch = {
    request,
    reply,
    tasks,
    abortGrace,
    send: reply.send,
    isSent: false,
    isClosed: false,
    pipelined: undefined,
    timer: undefined
  }
  reply[kWatch] = watch
  // Each answer, a returned value and an error included, passes through the reply's `send`.
  reply.send = send
  if (isGone(raw)) return close(watch)
  raw.on('close', () => close(watch))
  if (raw.socket === null) watchPipelined(request.socket, watch)
}

/** An HTTP/2 response knows it of its stream only; light-my-request emits `close` later than it is destroyed. */
function isGone (raw: Raw): boolean {
  return 'stream' in raw ? raw.stream.destroyed : raw.destroyed
}

/** Node gives a pipelined response its socket, and with it a `close`, only when its turn comes; which may be never. */
function watchPipelined (socket: WatchedSocket, watch: Watch): void {
  if (socket.destroyed) return close(watch)
  let watches = socket[kPipelined]
  if (watches === undefined) {
    watches = socket[kPipelined] = new Set()
    socket.once('close', closeAll)
  }
  watches.add(watch)
  watch.pipelined = watches
}

function closeAll (this: WatchedSocket): void {
  this[kPipelined]!.forEach(close)
}

function send (this: WatchedReply, ...payload: [unknown?]): FastifyReply {
  const watch = this[kWatch]!
  // The onError hook says so too, but perhaps only after other, asynchronous ones.
  if (payload[0] instanceof Error && !this.sent) watch.request[kErrored] = true
  const reply = watch.send.apply(this, payload)
  watch.isSent = true
  // The client has gone before, and what becomes of an answer for nobody is not the handler's fault.
  if (watch.isClosed) end(watch, 'answered')
  return reply
}

function close (watch: Watch): void {
  if (watch.isClosed) return
  watch.isClosed = true
  watch.pipelined?.delete(watch)
  if (watch.isSent || isAnswered(watch)) return end(watch, 'answered')
  watch.timer = setTimeout(() => end(watch, isAnswered(watch) ? 'answered' : 'unanswered'), watch.abortGrace)
  // A drain that gives up earlier has settled the tasks, and the process need not wait.
  watch.timer.unref()
}

/** Says also that a hijacked response has ended. */
function isAnswered ({ reply }: Watch): boolean {
  return reply.sent || reply.raw.headersSent
}

function end ({ request, tasks, timer }: Watch, ending: Ending): void {
  clearTimeout(timer)
  tasks.end(request[kErrored] === true ? 'errored' : ending)
}
