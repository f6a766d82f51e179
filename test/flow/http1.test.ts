import { once } from 'node:events'
import { Agent, get as httpGet, type IncomingMessage } from 'node:http'
import { json, text } from 'node:stream/consumers'
import t from 'tap'
import { became, Flow, NEVER } from '../helpers/flow.ts'
import { latch } from '../helpers/latch.ts'
import { dial, get, post } from '../helpers/raw-client.ts'

const REQUESTS = 20 // more than Node takes listeners without a warning

await t.test('keep-alive: each request has its own tasks', async t => {
  const flow = await Flow.make(t)
  flow.app.get('/', request => {
    flow.add(request)
    return { port: request.socket.remotePort }
  })
  const url = await flow.listen()
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(() => agent.destroy())
  const ports = new Set()
  for (let i = 0; i < REQUESTS; i++) {
    const [response] = await once(httpGet(url, { agent }), 'response') as [IncomingMessage]
    ports.add((await json(response) as { port: number }).port)
  }
  t.equal(ports.size, 1, 'one connection')
  await flow.ended(...Array.from({ length: REQUESTS }, () => became('answered')))
})

for (const version of ['1.0', '1.1']) {
  await t.test(`a connection for one request, HTTP/${version}`, async t => {
    const flow = await Flow.make(t)
    flow.app.get('/', request => {
      flow.add(request)
      return 'answer'
    })
    const socket = await dial(await flow.listen())
    socket.write(get('/', 'connection: close').replace('1.1', version))
    t.match(await text(socket), /200 OK[^]*answer$/)
    await flow.ended(became('answered'))
  })
}

await t.test('pipelined: tasks wait for their own response, not for its handler', async t => {
  const flow = await Flow.make(t)
  const last = latch()
  let running = 0
  flow.app.post('/:n', async (request, reply) => {
    flow.add(request)
    if (++running === REQUESTS) last.open()
    const { n } = request.params as { n: string }
    if (n === '0') {
      await last.opened
      t.match(flow.app.backgroundTasks.stats(), { added: REQUESTS * 3, pending: REQUESTS * 3 })
    }
    if (n === `${REQUESTS - 1}`) void reply.header('connection', 'close')
    return `<${n}>`
  })
  const socket = await dial(await flow.listen())
  const numbers = Array.from({ length: REQUESTS }, (_, n) => n)
  socket.write(numbers.map(n => post(`/${n}`, {})).join(''))
  t.strictSame((await text(socket)).match(/<\d+>/g), numbers.map(n => `<${n}>`))
  await flow.ended(...numbers.map(() => became('answered')))
})

await t.test('pipelined, then aborted: responses that never get the connection', async t => {
  const flow = await Flow.make(t)
  const [all, gone] = [latch(), latch()]
  flow.app.get('/slow', async request => {
    flow.add(request)
    request.socket.once('close', gone.open)
    await gone.opened
    return 'slow'
  })
  flow.app.get('/quick', request => {
    flow.add(request)
    return 'quick'
  })
  flow.app.get('/throws', async request => {
    flow.add(request)
    await gone.opened
    throw new Error('expected')
  })
  flow.app.get('/last', async request => {
    flow.add(request)
    all.open()
    await gone.opened
    return 'last'
  })
  const socket = await dial(await flow.listen())
  socket.write(['/slow', '/quick', '/throws', '/last'].map(path => get(path)).join(''))
  await all.opened
  socket.destroy()
  await flow.ended(became('answered'), became('answered'), became('errored'), became('answered'))
})

await t.test('pipelined, first add after the abort', async t => {
  const flow = await Flow.make(t)
  const [both, gone] = [latch(), latch()]
  flow.app.get('/first', async request => {
    request.socket.once('close', gone.open)
    await gone.opened
    flow.add(request)
    return 'first'
  })
  flow.app.get('/second', async request => {
    both.open()
    await gone.opened
    flow.add(request)
    return 'second'
  })
  const socket = await dial(await flow.listen())
  socket.write(get('/first') + get('/second'))
  await both.opened
  socket.destroy()
  await gone.opened
  await flow.ended(became('answered'), became('answered'))
})

await t.test('pipelined, and aborted when its turn had come', async t => {
  const flow = await Flow.make(t)
  const [waiting, gone] = [latch(), latch()]
  flow.app.get('/first', async () => {
    await waiting.opened
    return 'first'
  })
  flow.app.get('/second', async (request, reply) => {
    flow.add(request)
    reply.raw.once('close', gone.open)
    waiting.open()
    await gone.opened
    return 'second'
  })
  const socket = await dial(await flow.listen())
  socket.write(get('/first') + get('/second'))
  await once(socket, 'data')
  socket.destroy()
  await flow.ended(became('answered'))
})

await t.test('pipelined behind a response that closes the connection', async t => {
  const flow = await Flow.make(t)
  const second = latch()
  flow.app.get('/first', async (request, reply) => {
    flow.add(request)
    await second.opened
    return reply.header('connection', 'close').send('first')
  })
  flow.app.get('/second', request => {
    flow.add(request)
    second.open()
    return 'second'
  })
  const socket = await dial(await flow.listen())
  socket.write(get('/first') + get('/second'))
  t.match(await text(socket), /first$/)
  await flow.ended(became('answered'), became('answered'))
})

await t.test('a client that closes its half of the connection', async t => {
  const flow = await Flow.make(t, { abortGrace: NEVER })
  flow.app.get('/', async request => {
    flow.add(request)
    await flow.untilGone()
    return 'late'
  })
  const socket = await dial(await flow.listen())
  socket.end(get('/'))
  await flow.entered()
  await flow.ended(became('answered'))
})
