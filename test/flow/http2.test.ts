import { once } from 'node:events'
import { type ClientHttp2Session, connect, constants } from 'node:http2'
import { PassThrough, Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import type { FastifyReply } from 'fastify'
import t, { type Test } from 'tap'
import { cert, key } from '../helpers/certificate.ts'
import { became, Flow, NEVER } from '../helpers/flow.ts'
import { latch } from '../helpers/latch.ts'

const servers = { TLS: { http2: true, https: { key, cert } }, cleartext: { http2: true } }

type Respond = (reply: FastifyReply) => unknown

const responses: Record<string, [respond: Respond, became: string[]]> = {
  'answers with a value': [() => 'late', became('answered', 'early ', 'late ')],
  'answers by reply.send': [reply => { void reply.send('late') }, became('answered', 'early ', 'late ')],
  'answers with a stream': [() => Readable.from(['la', 'te']), became('answered', 'early ', 'late ')],
  'answers with a web stream': [() => new Response('late').body, became('answered', 'early ', 'late ')],
  throws: [() => { throw new Error('expected') }, became('errored', 'early ', 'late ')],
  'calls reply.send(error)': [reply => reply.send(new Error('expected')), became('errored', 'early ', 'late ')]
}

async function open (t: Test, flow: Flow): Promise<ClientHttp2Session> {
  const session = connect(await flow.listen(), { ca: cert })
  session.on('error', () => {}) // of a session that the test cuts
  t.teardown(() => session.destroy())
  return session
}

for (const [name, server] of Object.entries(servers)) {
  await t.test(`${name}: streams of one session`, async t => {
    const flow = await Flow.make(t, {}, server)
    flow.app.post('/', (request, reply) => {
      flow.add(request, 'before ')
      void reply.send(request.body)
      flow.add(request, 'after ')
    })
    const session = await open(t, flow)
    const bodies = await Promise.all(Array.from({ length: 20 }, (_, n) => {
      const stream = session.request({ ':method': 'POST', 'content-type': 'application/json' })
      stream.end(`{"n":${n}}`)
      return text(stream)
    }))
    t.equal(bodies[19], '{"n":19}')
    await flow.ended(...bodies.map(() => became('answered', 'before ', 'after ')))
  })

  for (const method of ['GET', 'POST']) {
    for (const [what, [respond, expected]] of Object.entries(responses)) {
      await t.test(`${name}: ${method}, reset, then the handler ${what}`, async t => {
        const flow = await abortInHandler(t, method, respond)
        await flow.ended(expected)
      })
    }

    await t.test(`${name}: ${method}, reset, and no answer within abortGrace`, async t => {
      const flow = await abortInHandler(t, method, () => new Promise(() => {}), 20)
      await flow.ended(became('unanswered', 'early ', 'late '))
    })
  }

  async function abortInHandler (t: Test, method: string, respond: Respond, abortGrace = NEVER): Promise<Flow> {
    const flow = await Flow.make(t, { abortGrace }, server)
    flow.app.route({
      method: ['GET', 'POST'],
      url: '/',
      handler: async (request, reply) => {
        flow.add(request, 'early ')
        await flow.untilGone()
        flow.add(request, 'late ')
        return respond(reply)
      }
    })
    const session = await open(t, flow)
    const stream = session.request({ ':method': method, 'content-type': 'application/json' })
    stream.on('error', () => {})
    stream.end(method === 'POST' ? '{}' : undefined)
    await flow.entered()
    stream.close(constants.NGHTTP2_CANCEL)
    return flow
  }

  await t.test(`${name}: one stream reset, the other answered`, async t => {
    const flow = await Flow.make(t, { abortGrace: NEVER }, server)
    flow.app.get('/reset', async request => {
      flow.add(request, 'reset ')
      await flow.untilGone()
      return 'late'
    })
    flow.app.get('/kept', request => {
      flow.add(request, 'kept ')
      return 'answer'
    })
    const session = await open(t, flow)
    const reset = session.request({ ':path': '/reset' })
    await flow.entered()
    reset.close(constants.NGHTTP2_CANCEL)
    t.equal(await text(session.request({ ':path': '/kept' })), 'answer')
    await flow.ended(became('answered', 'reset '), became('answered', 'kept '))
  })

  await t.test(`${name}: reset half-way through the answer`, async t => {
    const flow = await Flow.make(t, { abortGrace: NEVER }, server)
    const source = new Readable({ read () {} })
    flow.app.get('/', (request, reply) => {
      flow.add(request)
      source.push('first half')
      return reply.send(source)
    })
    const session = await open(t, flow)
    const stream = session.request()
    await once(stream, 'data')
    t.match(flow.app.backgroundTasks.stats(), { added: 3, pending: 3 })
    stream.close(constants.NGHTTP2_CANCEL)
    await flow.ended(became('answered'))
    t.ok(source.destroyed)
  })

  await t.test(`${name}: reset before the first byte of a streamed answer`, async t => {
    const flow = await Flow.make(t, { abortGrace: NEVER }, server)
    flow.app.get('/', (request, reply) => {
      flow.add(request)
      void flow.untilGone()
      return reply.send(new PassThrough())
    })
    const session = await open(t, flow)
    const stream = session.request()
    await flow.entered()
    stream.close(constants.NGHTTP2_CANCEL)
    await flow.ended(became('answered'))
  })

  await t.test(`${name}: the session breaks off with answers in all stages`, async t => {
    const flow = await Flow.make(t, { abortGrace: NEVER }, server)
    const last = latch()
    flow.app.get('/sending', (request, reply) => {
      flow.add(request)
      return reply.send(Readable.from(['first half', new Promise(() => {})]))
    })
    flow.app.get('/waiting', async request => {
      flow.add(request)
      await flow.untilGone()
      return 'late'
    })
    flow.app.get('/first-add', async request => {
      last.open()
      await flow.untilGone()
      flow.add(request)
      return 'late'
    })
    const session = await open(t, flow)
    const streams = ['/sending', '/waiting', '/first-add'].map(path => session.request({ ':path': path }))
    for (const stream of streams) stream.on('error', () => {})
    await Promise.all([once(streams[0]!, 'data'), last.opened])
    session.destroy()
    await flow.untilGone()
    await flow.ended(became('answered'), became('answered'), became('answered'))
  })
}
