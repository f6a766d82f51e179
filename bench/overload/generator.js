/**
 * Open-loop load from a thread of its own: each request has a time at which it is due, whatever became of
 * those before, and its latency counts from then. It takes a free connection, or a new one if none is free,
 * so a slow server holds nothing back.
 */
import { once } from 'node:events'
import { connect } from 'node:net'
import { parentPort, workerData } from 'node:worker_threads'
import { arrivals } from './arrivals.js'

/** ms after the last request was due to wait for answers. Those that come later count as having come then. */
const PATIENCE = 8_000

const headers = 'host: bench\r\ncontent-type: application/json\r\ncontent-length: 12'
const request = `POST / HTTP/1.1\r\n${headers}\r\n\r\n{"id":12345}`

const { port, connections } = workerData
const free = []

function open () {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  socket.answered = undefined
  socket.on('data', chunk => {
    const status = chunk.latin1Slice(9, 12)
    if (chunk.at(-1) !== 0x7d) throw new Error(`half an answer: ${chunk}`)
    socket.answered(status)
    free.push(socket)
  })
  return socket
}

function offer ({ startAt, rate, seconds, seed }) {
  const due = arrivals({ rate, seconds, seed })
  const latencies = new Array(due.length)
  const lateness = new Array(due.length)
  const statuses = {}
  const start = startAt - performance.timeOrigin
  let sent = 0
  let answered = 0
  let answeredInTime = 0

  function send (number) {
    const socket = free.pop() ?? open()
    lateness[number] = performance.now() - start - due[number]
    socket.answered = status => {
      const at = performance.now() - start
      latencies[number] = at - due[number]
      statuses[status] = (statuses[status] ?? 0) + 1
      answered++
      if (at < seconds * 1000) answeredInTime++
    }
    socket.write(request)
  }

  // Spins, because Node's timers know whole milliseconds only.
  return new Promise(resolve => {
    function turn () {
      const now = performance.now() - start
      while (sent < due.length && due[sent] <= now) send(sent++)
      if (answered < due.length && now < seconds * 1000 + PATIENCE) return setImmediate(turn)
      for (const [number, at] of due.entries()) latencies[number] ??= now - at
      resolve({ latencies, lateness, statuses, answeredInTime, unanswered: due.length - answered })
    }
    turn()
  })
}

for (let i = 0; i < connections; i++) {
  const socket = open()
  await once(socket, 'connect')
  free.push(socket)
}
parentPort.on('message', async load => parentPort.postMessage(await offer(load)))
parentPort.postMessage('ready')
