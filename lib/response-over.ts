import type { ServerResponse } from 'node:http'
import type { Http2ServerResponse } from 'node:http2'
import type { Socket } from 'node:net'
import { setImmediate } from 'node:timers'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Ending } from '../types/index.ts'
import type { Collector } from './collector.ts'
import { kErrored, kPipelined, kWatch } from './symbols.ts'

type Raw = (ServerResponse | Http2ServerResponse) & { [kWatch]?: ResponseWatch }
type WatchedSocket = Socket & { [kPipelined]?: Set<ResponseWatch> }

/**
 * Tells the collector once that the response is over, and how the request ended.
 *
 * `close` of the raw response is the one event that comes every time: `finish`, and with it Fastify's
 * onResponse, is missing after an HTTP/1 abort. What `close` does not say is whether the handler is done.
 */
export function watchResponse (request: FastifyRequest, reply: FastifyReply, abortGrace: number, collector: Collector): void {
  const watch = new ResponseWatch(request, reply, abortGrace, collector)
  const raw: Raw = reply.raw
  if (isGone(raw)) return watch.closed()
  // One shared function and a slot cost less than a closure and `once` for each request.
  raw[kWatch] = watch
  raw.on('close', onClose)
  if (raw.socket === null) watchPipelined(request.socket, watch)
}

class ResponseWatch {
  readonly #request: FastifyRequest & { [kErrored]?: boolean }
  readonly #reply: FastifyReply
  readonly #abortGrace: number
  readonly #collector: Collector
  #closed = false

  constructor (request: FastifyRequest, reply: FastifyReply, abortGrace: number, collector: Collector) {
    this.#request = request
    this.#reply = reply
    this.#abortGrace = abortGrace
    this.#collector = collector
  }

  closed (): void {
    if (this.#closed) return
    this.#closed = true
    const socket: WatchedSocket = this.#request.socket
    socket[kPipelined]?.delete(this)
    if (this.#isAnswered()) this.#end('answered')
    else this.#awaitAnswer()
  }

  #isAnswered (): boolean {
    return this.#reply.sent || this.#reply.raw.headersSent
  }

  /**
   * The client has gone before the handler answered, and Node will not say more about this response.
   * Every answer, a returned value and an error included, passes through this reply's `send`.
   */
  #awaitAnswer (): void {
    const reply = this.#reply
    const { send } = reply
    const timer = setTimeout(() => {
      reply.send = send
      this.#end(this.#isAnswered() ? 'answered' : 'unanswered')
    }, this.#abortGrace)
    reply.send = (...payload) => {
      reply.send = send
      clearTimeout(timer)
      // Later, so that an error is known as such: its onError hooks may be asynchronous.
      setImmediate(() => this.#end('answered'))
      return send.apply(reply, payload)
    }
  }

  #end (ending: Ending): void {
    this.#collector.end(this.#request[kErrored] === true ? 'errored' : ending)
  }
}

function onClose (this: Raw): void {
  this[kWatch]!.closed()
}

/** An HTTP/2 response knows it of its stream only; light-my-request emits `close` later than it is destroyed. */
function isGone (raw: Raw): boolean {
  return 'stream' in raw ? raw.stream.destroyed : raw.destroyed
}

/** Node gives a pipelined response its socket, and with it a `close`, only when its turn comes; which may be never. */
function watchPipelined (socket: WatchedSocket, watch: ResponseWatch): void {
  let waiting = socket[kPipelined]
  if (waiting === undefined) {
    const watches = waiting = socket[kPipelined] = new Set()
    socket.once('close', () => { for (const watch of watches) watch.closed() })
  }
  waiting.add(watch)
}
