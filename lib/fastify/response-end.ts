import type { ServerResponse } from 'node:http'
import type { Http2ServerResponse } from 'node:http2'
import type { Socket } from 'node:net'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Ending } from '../../types/index.ts'
import { Ring, type Ringed } from '../in-process/ring.ts'
import { kErrored, kPipelined, kReply, kWatch } from './symbols.ts'

type Raw = ServerResponse | Http2ServerResponse
type WatchedReply = FastifyReply & { [kWatch]?: Watch }
type WatchedRequest = FastifyRequest & { [kErrored]?: boolean, [kReply]?: WatchedReply }
type WatchedSocket = Socket & { [kPipelined]?: Set<Watch> }

/** The tasks of a request, which are told how it ended. */
interface Judged {
  end (ending: Ending): void
}

interface Watch extends Ringed<Watch> {
  readonly request: WatchedRequest
  readonly reply: FastifyReply
  readonly tasks: Judged
  readonly answered: Ring<Watch>
  readonly abortGrace: number
  readonly send: FastifyReply['send']
  /** The handler has answered, or something has thrown. */
  isSent: boolean
  isClosed: boolean
  pipelined: Set<Watch> | undefined
  timer: NodeJS.Timeout | undefined
}

/** Tells the tasks of requests that their response is over, and how the request ended. */
export class ResponseEnds {
  readonly #abortGrace: number
  /** The responses that their clients have not read yet, in the order in which the handlers answered. */
  readonly #answered = new Ring<Watch>()

  /** @param abortGrace ms that a handler whose client has gone gets to answer. */
  constructor (abortGrace: number) {
    this.#abortGrace = abortGrace
  }

  /**
   * `close` of the raw response is the one event that comes every time: `finish`, and with it Fastify's
   * onResponse, is missing after an HTTP/1 abort. But it does not say whether the handler is done.
   */
  watch (request: WatchedRequest, reply: WatchedReply, tasks: Judged): void {
    const { raw } = reply
    const watch: Watch = {
      request,
      reply,
      tasks,
      answered: this.#answered,
      abortGrace: this.#abortGrace,
      send: reply.send,
      isSent: false,
      isClosed: false,
      pipelined: undefined,
      timer: undefined,
      before: undefined,
      after: undefined
    }
    reply[kWatch] = watch
    // Each answer, a returned value and an error included, passes through the reply's `send`.
    reply.send = send
    if (isGone(raw)) return close(watch)
    raw.on('close', () => close(watch))
    if (raw.socket === null) watchPipelined(request.socket, watch)
  }

  /** Ends the request that was answered first and whose client does not read. Called when places get scarce. */
  endOldest (): void {
    const { first } = this.#answered
    // An onSend hook may be under way.
    if (first === undefined || !first.reply.raw.headersSent) return
    this.#answered.delete(first)
    end(first, 'answered')
  }
}

/** A task was added after `abortGrace`, which proves that the handler is alive: its answer decides, or the next grace. */
export function awaitAnswer (request: WatchedRequest): void {
  const watch = request[kReply]![kWatch]!
  if (watch.isSent) end(watch, 'answered')
  else startGrace(watch)
}

/** Only its stream says so of an HTTP/2 response. light-my-request emits `close` later than it is destroyed. */
function isGone (raw: Raw): boolean {
  return 'stream' in raw ? raw.stream.destroyed : raw.destroyed
}

/** Watches the socket: a pipelined response gets it, and with it a `close`, only in its turn, which may never come. */
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
  if (!this.sent && isError(this, payload[0])) watch.request[kErrored] = true
  const reply = watch.send.apply(this, payload)
  watch.isSent = true
  // The client left before. The handler is not to blame for what becomes of its answer.
  if (watch.isClosed) end(watch, 'answered')
  else watch.answered.add(watch)
  return reply
}

/** Set by Fastify on a reply while it sends what was thrown, which need be no Error, or none of this realm. */
let kIsError: symbol | undefined

function isError (reply: FastifyReply, payload: unknown): boolean {
  if (payload instanceof Error) return true
  if (kIsError === undefined || !(kIsError in reply)) {
    kIsError = Object.getOwnPropertySymbols(reply).find(({ description }) => description === 'fastify.reply.isError')
  }
  return kIsError !== undefined && (reply as unknown as Record<symbol, unknown>)[kIsError] === true
}

function close (watch: Watch): void {
  if (watch.isClosed) return
  watch.isClosed = true
  watch.pipelined?.delete(watch)
  watch.answered.delete(watch)
  if (watch.isSent || isAnswered(watch)) return end(watch, 'answered')
  startGrace(watch)
}

function startGrace (watch: Watch): void {
  watch.timer = setTimeout(() => end(watch, isAnswered(watch) ? 'answered' : 'unanswered'), watch.abortGrace)
  // The process need not wait for it: a drain that ends earlier has settled the tasks.
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
