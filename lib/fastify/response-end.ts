import type { ServerResponse } from 'node:http'
import type { Http2ServerResponse } from 'node:http2'
import type { Socket } from 'node:net'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Ending } from '../../types/index.ts'
import { Ring, type Ringed } from '../in-process/ring.ts'
import { kErrored, kPipelined, kReply, kWatch } from './symbols.ts'

type Raw = ServerResponse | Http2ServerResponse
type WatchedReply = FastifyReply & { [kWatch]?: Watch }
type MarkedReply = Readonly<Record<symbol, unknown>>
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
  readonly app: Application
  readonly send: FastifyReply['send']
  /** The handler has answered, or something has thrown. */
  isSent: boolean
  isClosed: boolean
  pipelined: Set<Watch> | undefined
  timer: NodeJS.Timeout | undefined
}

/** What the responses of an application share. */
interface Application {
  /** ms */
  readonly abortGrace: number
  /** The responses that their clients have not read yet, in the order in which the handlers answered. */
  readonly answered: Ring<Watch>
  readonly marks: Marks
}

/** The symbols by which Fastify marks a reply. */
interface Marks {
  /** It sends what was thrown, which need be no Error, or none of this realm. */
  readonly isError: symbol
  /** Its onError hooks run. */
  readonly runsOnError: symbol
}

/** Answers still on their way through onSend hooks that one call of `endOldest` passes over at the most. */
const LOOKS = 10

/** Tells the tasks of requests that their response is over, and how the request ended. */
export class ResponseEnds {
  readonly #abortGrace: number
  readonly #answered = new Ring<Watch>()
  #app: Application | undefined = undefined

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
      app: (this.#app ??= { abortGrace: this.#abortGrace, answered: this.#answered, marks: marksOf(reply) }),
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

/** A task was added after `abortGrace`: the handler is alive, and its answer decides, or the next grace. */
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
function isBegun (reply: FastifyReply): boolean {
  const { raw } = reply
  return raw.headersSent && (raw.writableEnded || !reply.sent)
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
  const { request, app: { answered, marks: { isError, runsOnError } } } = watch
  const marked = this as unknown as MarkedReply
  // Our onError hook says so too, but it runs after those of earlier plugins: later, or never if one throws.
  if (!this.sent && (payload[0] instanceof Error || marked[isError] === true)) request[kErrored] = true
  const reply = watch.send.apply(this, payload)
  // What cannot be serialised does not pass through `send`.
  if (marked[runsOnError] === true) request[kErrored] = true
  watch.isSent = true
  // The client left before. The handler is not to blame for what becomes of its answer.
  if (watch.isClosed) end(watch, 'answered')
  else answered.add(watch)
  return reply
}

function marksOf (reply: FastifyReply): Marks {
  const symbols = Object.getOwnPropertySymbols(reply)
  // A Fastify that does not know it marks nothing.
  const mark = (name: string): symbol => symbols.find(({ description }) => description === name) ?? Symbol(name)
  return { isError: mark('fastify.reply.isError'), runsOnError: mark('fastify.reply.isRunningOnErrorHook') }
}

function close (watch: Watch): void {
  if (watch.isClosed) return
  watch.isClosed = true
  watch.pipelined?.delete(watch)
  watch.app.answered.delete(watch)
  if (watch.isSent || isAnswered(watch)) end(watch, 'answered')
  else startGrace(watch)
}

function startGrace (watch: Watch): void {
  watch.timer = setTimeout(() => end(watch, isAnswered(watch) ? 'answered' : 'unanswered'), watch.app.abortGrace)
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
