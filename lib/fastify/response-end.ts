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
  /** Says whether there were any. */
  end (ending: Ending): boolean
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

/** Answers still on their way through onSend hooks that one call of `endOldest` passes over at the most. */
const LOOKS = 10

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
    if (isBegun(reply)) this.#answered.add(watch)
    raw.on('close', () => close(watch))
    if (raw.socket === null) watchPipelined(request.socket, watch)
  }

  /**
   * Ends the request with tasks that was answered first, and whose client does not read. Called when places get
   * scarce.
   */
  endOldest (): void {
    const answered = this.#answered
    let looks = LOOKS
    for (let watch = answered.first; watch !== undefined && looks > 0; watch = answered.first) {
      answered.delete(watch)
      if (watch.reply.raw.headersSent) {
        if (end(watch, 'answered')) return
      } else {
        answered.add(watch)
        looks--
      }
    }
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

/** The answer is on its way. Of a hijacked response only its end says so. */
function isBegun ({ raw, sent }: FastifyReply): boolean {
  return raw.headersSent && (raw.writableEnded || !sent)
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
  // Our onError hook says so too, but it runs after those of earlier plugins: later, or never if one of them throws.
  if (!this.sent && (payload[0] instanceof Error || isMarked(this, IS_ERROR))) watch.request[kErrored] = true
  const reply = watch.send.apply(this, payload)
  // What cannot be serialised does not pass through `send`.
  if (isMarked(this, RUNS_ON_ERROR)) watch.request[kErrored] = true
  watch.isSent = true
  // The client left before. The handler is not to blame for what becomes of its answer.
  if (watch.isClosed) end(watch, 'answered')
  else watch.answered.add(watch)
  return reply
}

/** Fastify marks a reply so before it sends what was thrown, which need be no Error, or none of this realm. */
const IS_ERROR = 'fastify.reply.isError'

/** Fastify marks a reply so while its onError hooks run. */
const RUNS_ON_ERROR = 'fastify.reply.isRunningOnErrorHook'

/** The symbols of the latest Fastify, by their descriptions. */
const marks = new Map<string, symbol>()

function isMarked (reply: FastifyReply, description: string): boolean {
  const known = marks.get(description)
  const mark = known !== undefined && known in reply ? known : findMark(reply, description)
  return (reply as unknown as Record<symbol, unknown>)[mark] === true
}

function findMark (reply: FastifyReply, description: string): symbol {
  const mark = Object.getOwnPropertySymbols(reply).find(symbol => symbol.description === description)
  // Another Fastify, which does not know it, marks nothing.
  const found = mark ?? Symbol(description)
  marks.set(description, found)
  return found
}

function close (watch: Watch): void {
  if (watch.isClosed) return
  watch.isClosed = true
  watch.pipelined?.delete(watch)
  watch.answered.delete(watch)
  if (watch.isSent || isAnswered(watch)) end(watch, 'answered')
  else startGrace(watch)
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

function end ({ request, tasks, timer }: Watch, ending: Ending): boolean {
  clearTimeout(timer)
  return tasks.end(request[kErrored] === true ? 'errored' : ending)
}
