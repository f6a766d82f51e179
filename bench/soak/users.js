import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { connect as connectHttp2 } from 'node:http2'
import { connect } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { Dice } from './dice.js'

const host = '127.0.0.1'

/** Users who do what the dice say, one thing after the other, until they are told to stop or nobody listens. */
export class Users {
  requests = 0
  /** How often each thing was done, and each status code received. */
  did = {}
  received = {}
  /** What went wrong before the server was told to stop; from then on connections may break. */
  surprises = []
  /** Set when the server is told to stop. */
  stopping = false
  #agent = new Agent({ keepAlive: true, scheduling: 'fifo' })
  #port
  #http2Port
  #onRequest
  /** What those hold open who do not read. */
  #stalled = new Set()

  constructor ({ port, http2Port }, onRequest) {
    this.#port = port
    this.#http2Port = http2Port
    this.#onRequest = onRequest
  }

  async run (count, seed) {
    const slow = [this.#keepOn('stall', new Dice(seed - 1)), this.#keepOn('stallHttp2', new Dice(seed - 2))]
    await Promise.all([...slow, ...Array.from({ length: count }, (_, index) => this.#user(new Dice(seed + index)))])
    this.#agent.destroy()
  }

  /** The server is told to stop: nobody holds it up any more. */
  stop () {
    this.stopping = true
    for (const connection of this.#stalled) connection.destroy()
  }

  async #keepOn (what, dice) {
    while (!this.stopping) {
      this.did[what] = (this.did[what] ?? 0) + 1
      try {
        await this[what](dice)
      } catch (error) {
        if (!this.stopping && this.surprises.length < 5) this.surprises.push(`${what}: ${error.stack}`)
      }
    }
  }

  /** Sends many requests over one connection, reads none of the answers, and goes away some seconds later. */
  async stall (dice) {
    const socket = await this.#connect()
    socket.pause()
    await this.#hold(socket, dice, () => {
      const path = () => this.#path('large', dice)
      const requests = Array.from({ length: 30 }, () => `GET ${path()} HTTP/1.1\r\nhost: soak\r\n\r\n`)
      socket.write(requests.join(''))
    })
  }

  /** The same over one session of HTTP/2 that takes no byte of any answer, for more tasks than may wait. */
  async stallHttp2 (dice) {
    const session = connectHttp2(`http://${host}:${this.#http2Port}`, { settings: { initialWindowSize: 0 } })
    session.on('error', () => {})
    await Promise.race([once(session, 'connect'), once(session, 'close')])
    await this.#hold(session, dice, () => {
      for (let n = 0; n < 400; n++) {
        const way = dice.pick(['now', 'now', 'soon', 'throw', 'forgive'])
        const stream = session.request({ ':path': this.#path(way, dice) })
        stream.on('error', () => {})
      }
    })
  }

  async #hold (connection, dice, send) {
    this.#stalled.add(connection)
    const closed = once(connection, 'close')
    if (this.stopping) connection.destroy()
    else send()
    await Promise.race([closed, setTimeout(1_000 + dice.below(1_000), undefined, { ref: false })])
    connection.destroy()
    await closed
    this.#stalled.delete(connection)
  }

  async #user (dice) {
    for (;;) {
      const what = dice.pick(habits)
      this.did[what] = (this.did[what] ?? 0) + 1
      try {
        await this[what](dice)
      } catch (error) {
        if (error.code === 'ECONNREFUSED') return
        if (!this.stopping && this.surprises.length < 5) this.surprises.push(`${what}: ${error.stack}`)
      }
    }
  }

  #path (ending, dice) {
    this.#onRequest(++this.requests)
    return `/${ending}?seed=${dice.below(2 ** 31)}`
  }

  #send (ending, dice) {
    const body = dice.chance(0.5) ? JSON.stringify({ some: 'x'.repeat(dice.below(2_000)) }) : undefined
    const sent = request({
      agent: this.#agent,
      host,
      port: this.#port,
      method: body === undefined ? 'GET' : 'POST',
      path: this.#path(ending, dice),
      headers: body === undefined ? {} : { 'content-type': 'application/json', 'content-length': body.length }
    })
    sent.end(body)
    return sent
  }

  async #response (sent) {
    const [response] = await once(sent, 'response')
    this.#count(response.statusCode)
    return response
  }

  #count (status) {
    this.received[status] = (this.received[status] ?? 0) + 1
  }

  async ask (dice) {
    const response = await this.#response(this.#send(dice.pick(answered), dice))
    await once(response.resume(), 'end')
  }

  /** Goes away while the handler is at work, at once or a little later. */
  async abort (dice) {
    const sent = this.#send(dice.pick(['now', 'soon', 'throw', 'stream', 'never']), dice)
    sent.on('error', () => {})
    await setTimeout(dice.below(8))
    sent.destroy()
  }

  /** Goes away when the answer begins, or half-way through it. */
  async cutShort (dice) {
    const response = await this.#response(this.#send('stream', dice))
    response.on('error', () => {})
    if (dice.chance(0.5)) await once(response, 'data')
    if (dice.chance(0.5)) await setTimeout(dice.below(8))
    response.destroy()
  }

  /** Sends half a request, and goes away. */
  async breakOff (dice) {
    const socket = await this.#connect()
    const headers = 'host: soak\r\ncontent-type: application/json\r\ncontent-length: 100'
    socket.write(`POST ${this.#path('now', dice)} HTTP/1.1\r\n${headers}\r\n\r\n{"half`)
    await setTimeout(dice.below(3))
    leave(socket, dice)
  }

  /** Sends a burst of requests at once. Reads all the answers, or goes away after the first. */
  async pipeline (dice) {
    const socket = await this.#connect()
    const stays = dice.chance(0.6)
    let burst = ''
    const count = 2 + dice.below(7)
    for (let n = 1; n <= count; n++) {
      const ending = dice.pick(stays ? answered : ['now', 'soon', 'stream', 'throw', 'never'])
      const last = n === count ? 'connection: close\r\n' : ''
      burst += `GET ${this.#path(ending, dice)} HTTP/1.1\r\nhost: soak\r\n${last}\r\n`
    }
    socket.write(burst)
    if (!stays) {
      await Promise.race([once(socket, 'data'), setTimeout(10)])
      return leave(socket, dice)
    }
    let text = ''
    for await (const chunk of socket.setEncoding('latin1')) text += chunk
    const statuses = text.match(/(?<=HTTP\/1\.1 )\d{3}/g) ?? []
    for (const status of statuses) this.#count(status)
    if (statuses.length !== count) throw new Error(`${statuses.length} answers to ${count} requests`)
  }

  async #connect () {
    const socket = connect({ host, port: this.#port })
    await once(socket, 'connect')
    socket.on('error', () => {}) // the server may break any connection while it stops
    return socket
  }
}

const answered = ['now', 'now', 'now', 'soon', 'soon', 'throw', 'forgive', 'nothing', 'elsewhere', 'hijack', 'stream']
const habits = ['ask', 'ask', 'ask', 'ask', 'abort', 'cutShort', 'breakOff', 'pipeline']

function leave (socket, dice) {
  if (dice.chance(0.5)) socket.destroy()
  else socket.resetAndDestroy()
}
