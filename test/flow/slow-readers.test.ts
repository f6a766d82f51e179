import { once } from 'node:events'
import { type ClientHttp2Session, connect } from 'node:http2'
import { text } from 'node:stream/consumers'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import backgroundTasks from '../../lib/index.ts'
import { latch } from '../helpers/latch.ts'
import { dial, get } from '../helpers/raw-client.ts'
import { turns } from '../helpers/timers.ts'

const MAX = 20
const HALF = MAX / 2

/** A server whose `/slow/:n` adds a task for success and whose `/audit` does so for others; and what ran. */
class Server {
  readonly app: FastifyInstance
  readonly ran: number[] = []
  readonly handled: number[] = []
  audits = 0

  constructor (t: Test, server: object) {
    const app = this.app = Fastify({ forceCloseConnections: true, ...server })
    t.teardown(() => app.close())
    app.register(backgroundTasks, { maxPending: MAX, drainTimeout: 1_000 }).after(() => {
      app.get<{ Params: { n: number }, Querystring: { bytes: number } }>('/slow/:n', request => {
        const n = Number(request.params.n)
        this.handled.push(n)
        request.backgroundTasks.add(() => this.ran.push(n))
        return Buffer.alloc(Number(request.query.bytes))
      })
      app.get('/audit', request => {
        request.backgroundTasks.add(() => { this.audits++ })
        return 'ok'
      })
    })
  }

  listen (): Promise<string> {
    return this.app.listen({ host: '127.0.0.1', port: 0 })
  }

  /** Once nothing is left to do: every task that was added had one end, and that was no loss. */
  async balances (t: Test, added: number, skipped = 0): Promise<void> {
    await this.app.backgroundTasks.idle({ timeout: 10_000 })
    t.match(this.app.backgroundTasks.stats(),
      { added, completed: added - skipped, skipped, pending: 0, running: 0, failed: 0, lost: 0, cancelled: 0 }, 'stats')
  }
}

/** Sessions of HTTP/2, whose answers are read with `text`, and which flow control holds up with a window of 0. */
function open (t: Test, url: string, initialWindowSize = 65_535): ClientHttp2Session {
  const session = connect(url, { settings: { initialWindowSize } })
  session.on('error', () => {}) // of a session that the test cuts
  t.teardown(() => session.destroy())
  return session
}

/** Resolves with the status, which comes whatever the window is. */
async function ask (session: ClientHttp2Session, path: string): Promise<number> {
  const stream = session.request({ ':path': path })
  stream.on('error', () => {})
  const [headers] = await once(stream, 'response') as [{ ':status': number }]
  return headers[':status']
}

async function audit (session: ClientHttp2Session): Promise<string> {
  return await text(session.request({ ':path': '/audit' }))
}

await t.test('an HTTP/2 session with a window of 0 leaves others half of the places', async t => {
  const server = new Server(t, { http2: true })
  const url = await server.listen()
  const hostile = open(t, url, 0)
  const others = open(t, url)
  for (let n = 0; n < HALF; n++) t.equal(await ask(hostile, `/slow/${n}?bytes=100`), 200)
  await turns()
  t.strictSame(server.ran, [], 'below the half they wait for their client')
  t.match(server.app.backgroundTasks.stats(), { pending: HALF })

  t.equal(await audit(others), 'ok')
  await turns()
  t.strictSame(server.ran, [0], 'the add at the half lets the oldest go')

  for (let n = HALF; n < 5 * MAX; n++) {
    t.equal(await ask(hostile, `/slow/${n}?bytes=100`), 200)
    t.equal(await audit(others), 'ok')
  }
  await turns()
  t.strictSame(server.ran, server.handled.slice(0, server.ran.length), 'the oldest first')
  t.ok(server.ran.length >= 5 * MAX - HALF, 'and no more than half wait')
  t.equal(server.audits, 5 * MAX - HALF + 1)

  hostile.destroy()
  await server.balances(t, 5 * MAX + server.audits)
  t.strictSame(server.ran, server.handled, 'each once')
})

await t.test('pipelined HTTP/1 connections that do not read leave others half of the places', async t => {
  const server = new Server(t, {})
  const url = await server.listen()
  const others = async (): Promise<void> => {
    const response = await fetch(`${url}/audit`)
    t.equal(await response.text(), 'ok')
  }
  let count = 0
  const sockets = []
  for (let connection = 0; connection < 12; connection++) {
    const socket = await dial(url)
    sockets.push(socket)
    socket.pause()
    // More than the system takes off Node, and behind it answers that never get the socket.
    const requests = Array.from({ length: HALF / 2 }, (_, i) => get(`/slow/${count++}?bytes=${i === 0 ? 2 ** 25 : 100}`))
    socket.write(requests.join(''))
    while (server.handled.length < count) await turns()
    await others()
  }
  t.ok(server.ran.length >= count - HALF, 'the oldest ran')
  t.strictSame(server.ran, server.handled.slice(0, server.ran.length))
  for (const socket of sockets) socket.destroy()
  await server.balances(t, count + 12)
  t.strictSame(server.ran.toSorted((a, b) => a - b), server.handled, 'each once')
  t.equal(server.audits, 12)
})

await t.test('they count as answered: their tasks for an error are skipped, and those that come later too', async t => {
  const server = new Server(t, { http2: true })
  const reasons: string[] = []
  const late = latch<() => void>()
  server.app.after(() => {
    server.app.get('/mixed', request => {
      const add = (label: string): void => {
        for (const when of ['success', 'error', 'always'] as const) {
          const hooks = { onTaskSkipped: ({ reason }: { reason: string }) => reasons.push(`${label} ${when} skipped: ${reason}`) }
          request.backgroundTasks.add({ when, hooks }, () => reasons.push(`${label} ${when}`))
        }
      }
      add('early')
      late.open(() => add('late'))
      return 'answer'
    })
  })
  const url = await server.listen()
  const hostile = open(t, url, 0)
  await ask(hostile, '/mixed')
  for (let n = 3; n < HALF; n++) await ask(hostile, `/slow/${n}?bytes=1`)
  t.strictSame(reasons, [])
  await audit(open(t, url))
  await turns()
  t.strictSame(reasons, ['early error skipped: answered', 'early success', 'early always'])
  const add = await late.opened
  add()
  await turns()
  t.strictSame(reasons.slice(3), ['late error skipped: answered', 'late success', 'late always'])
  hostile.destroy()
  await server.balances(t, 6 + HALF - 3 + 1, 2)
})

await t.test('a request that threw counts as errored', async t => {
  const server = new Server(t, { http2: true })
  const ran: string[] = []
  server.app.after(() => {
    server.app.get('/throws', request => {
      for (const when of ['success', 'error'] as const) request.backgroundTasks.add({ when }, () => ran.push(when))
      throw new Error('expected')
    })
  })
  const url = await server.listen()
  const hostile = open(t, url, 0)
  t.equal(await ask(hostile, '/throws'), 500)
  for (let n = 2; n < HALF; n++) await ask(hostile, `/slow/${n}?bytes=1`)
  await audit(open(t, url))
  await turns()
  t.strictSame(ran, ['error'])
})

await t.test('a first add after the answer is no way around it', async t => {
  const server = new Server(t, { http2: true })
  server.app.after(() => {
    server.app.get('/after/:n', (request, reply) => {
      void reply.send('answer')
      const { n } = request.params as { n: string }
      request.backgroundTasks.add(() => server.ran.push(Number(n)))
    })
  })
  const url = await server.listen()
  const hostile = open(t, url, 0)
  for (let n = 0; n < 2 * MAX; n++) await ask(hostile, `/after/${n}`)
  t.equal(await audit(open(t, url)), 'ok')
  await turns()
  t.ok(server.ran.length >= 2 * MAX - HALF)
  hostile.destroy()
  await server.balances(t, 2 * MAX + 1)
})

await t.test('answered requests without tasks are not in the way', async t => {
  const server = new Server(t, { http2: true })
  server.app.after(() => {
    server.app.get('/none', request => typeof request.backgroundTasks)
  })
  const url = await server.listen()
  const hostile = open(t, url, 0)
  for (let n = 0; n < 2 * MAX; n++) await ask(hostile, '/none')
  for (let n = 0; n < HALF; n++) await ask(hostile, `/slow/${n}?bytes=1`)
  await audit(open(t, url))
  await turns()
  t.strictSame(server.ran, [0])
})

await t.test('answers that an onSend hook holds up are passed over, and wait', async t => {
  const server = new Server(t, { http2: true })
  const [held, go] = [latch(), latch()]
  const HELD = 12
  let count = 0
  server.app.after(() => {
    server.app.get('/held', { onSend: () => { if (++count === HELD) held.open(); return go.opened } }, request => {
      // One of them adds, so that there is room for the others.
      if (count === 0) request.backgroundTasks.add(() => server.ran.push(-1))
      else void request.backgroundTasks
      return 'answer'
    })
  })
  const url = await server.listen()
  const hostile = open(t, url, 0)
  for (let n = 0; n < HELD; n++) hostile.request({ ':path': '/held' }).on('error', () => {})
  await held.opened
  for (let n = 1; n < HALF; n++) await ask(hostile, `/slow/${n}?bytes=1`)
  const others = open(t, url)
  // Each add looks at some of them.
  await audit(others)
  await audit(others)
  await turns()
  t.strictSame(server.ran, [1])
  go.open()
  hostile.destroy()
  await server.balances(t, HALF + 2)
  t.strictSame(server.ran.toSorted((a, b) => a - b), [-1, ...server.handled])
})

await t.test('a hijacked response that has begun is under way until it ends', async t => {
  const server = new Server(t, { http2: true })
  let end!: () => void
  server.app.after(() => {
    server.app.get('/events', (request, reply) => {
      const { raw } = reply.hijack()
      raw.writeHead(200)
      raw.write('event')
      request.backgroundTasks.add(() => server.ran.push(-1))
      end = () => raw.end()
    })
  })
  const url = await server.listen()
  const others = open(t, url)
  const stream = others.request({ ':path': '/events' })
  await once(stream, 'data')
  const hostile = open(t, url, 0)
  for (let n = 1; n < HALF + 5; n++) await ask(hostile, `/slow/${n}?bytes=1`)
  await turns()
  t.notOk(server.ran.includes(-1))
  t.strictSame(server.ran, server.handled.slice(0, server.ran.length))
  end()
  await once(stream.resume(), 'close')
  await turns()
  t.ok(server.ran.includes(-1))
})
