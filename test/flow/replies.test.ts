import { once } from 'node:events'
import { get, type IncomingMessage, request as makeRequest } from 'node:http'
import { get as getSecure } from 'node:https'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { setImmediate } from 'node:timers/promises'
import type { FastifyReply } from 'fastify'
import t from 'tap'
import { cert, key } from '../helpers/certificate.ts'
import { became, Flow, NEVER } from '../helpers/flow.ts'

async function read (request: ReturnType<typeof get>): Promise<IncomingMessage & { body: string }> {
  const [response] = await once(request.end(), 'response') as [IncomingMessage]
  return Object.assign(response, { body: await text(response) })
}

const replies: Record<string, [respond: (reply: FastifyReply) => unknown, expected: object]> = {
  'a value': [() => ({ some: 'value' }), { body: '{"some":"value"}' }],
  'an error status': [reply => reply.code(500).send('failed'), { statusCode: 500, body: 'failed' }],
  'status 204': [reply => reply.code(204).send(), { statusCode: 204, body: '' }],
  'status 304': [reply => reply.code(304).send(), { statusCode: 304, body: '' }],
  'a redirect': [reply => reply.redirect('/elsewhere'), { statusCode: 302, headers: { location: '/elsewhere' } }],
  'a stream': [reply => reply.send(Readable.from(['al', 'l'])), { body: 'all' }],
  'a web stream': [() => new Response('all').body, { body: 'all' }],
  'a Response': [() => new Response('all', { status: 201 }), { statusCode: 201, body: 'all' }],
  'the 404 handler': [reply => { reply.callNotFound() }, { statusCode: 404 }],
  trailers: [
    reply => reply.trailer('checksum', () => Promise.resolve('of it')).send('all'),
    { body: 'all', trailers: { checksum: 'of it' } }
  ],
  'early hints': [reply => {
    reply.writeEarlyHints({ link: '</style.css>; rel=preload' })
    return reply.send('all')
  }, { body: 'all' }],
  'raw.end': [reply => { reply.raw.end('raw') }, { body: 'raw' }],
  'hijack, raw.end': [reply => { reply.hijack().raw.end('raw') }, { body: 'raw' }],
  'hijack, raw.end in a later turn': [async reply => {
    reply.hijack()
    await setImmediate()
    reply.raw.end('raw')
  }, { body: 'raw' }],
  'hijack, then the bare socket': [
    reply => { reply.hijack().raw.socket!.end('HTTP/1.1 202 Accepted\r\nconnection: close\r\n\r\nbare') },
    { statusCode: 202, body: 'bare' }
  ],
  'server-sent events': [async reply => {
    reply.hijack().raw.writeHead(200, { 'content-type': 'text/event-stream' })
    for (const n of [1, 2]) {
      reply.raw.write(`data: ${n}\n\n`)
      await setImmediate()
    }
    reply.raw.end()
  }, { body: 'data: 1\n\ndata: 2\n\n' }]
}

for (const [name, [respond, expected]] of Object.entries(replies)) {
  await t.test(name, async t => {
    const flow = await Flow.make(t)
    flow.app.get('/', (request, reply) => {
      flow.add(request, 'before ')
      const result = respond(reply)
      flow.add(request, 'after ')
      return result
    })
    t.match(await read(get(await flow.listen())), expected)
    await flow.ended(became('answered', 'before ', 'after '))
  })
}

for (const [name, answer] of Object.entries({ 'a value': 'all', 'a stream': Readable.from(['all']) })) {
  await t.test(`HEAD: ${name}`, async t => {
    const flow = await Flow.make(t)
    flow.app.get('/', request => {
      flow.add(request)
      return answer
    })
    t.match(await read(makeRequest(await flow.listen(), { method: 'HEAD' })), { statusCode: 200, body: '' })
    await flow.ended(became('answered'))
  })
}

await t.test('HTTPS', async t => {
  const flow = await Flow.make(t, {}, { https: { key, cert } })
  flow.app.get('/', request => {
    flow.add(request)
    return 'secret'
  })
  t.match(await read(getSecure(await flow.listen(), { ca: cert })), { body: 'secret' })
  await flow.ended(became('answered'))
})

for (const custom of [false, true]) {
  await t.test(`no such route, ${custom ? 'custom' : 'default'} handler`, async t => {
    const flow = await Flow.make(t)
    flow.app.addHook('onRequest', (request, _reply, done) => {
      flow.add(request)
      done()
    })
    if (custom) {
      flow.app.setNotFoundHandler((request, reply) => {
        flow.add(request, '404 handler ')
        return reply.code(404).send('custom')
      })
    }
    const response = await read(get(`${await flow.listen()}/nowhere`))
    t.match(response, { statusCode: 404, body: custom ? 'custom' : /Route GET:\/nowhere not found/ })
    await flow.ended(custom ? became('answered', '', '404 handler ') : became('answered'))
  })
}

await t.test('server-sent events, ended by the client', async t => {
  const flow = await Flow.make(t, { abortGrace: NEVER })
  flow.app.get('/', (request, reply) => {
    flow.add(request)
    reply.hijack().raw.writeHead(200, { 'content-type': 'text/event-stream' })
    reply.raw.write('data: 1\n\n')
  })
  const [response] = await once(get(await flow.listen()), 'response') as [IncomingMessage]
  await once(response, 'data')
  t.match(flow.app.backgroundTasks.stats(), { added: 3, pending: 3 })
  response.destroy()
  await flow.ended(became('answered'))
})

const failing = {
  'a stream': (chunks: string[]) => Readable.from(fail(chunks)),
  'a web stream': (chunks: string[]) => ReadableStream.from(fail(chunks))
}

async function * fail (chunks: string[]): AsyncGenerator<Buffer> {
  for (const chunk of chunks) yield Buffer.from(chunk)
  await setImmediate()
  throw new Error('expected')
}

for (const [name, make] of Object.entries(failing)) {
  await t.test(`${name} that fails before its first byte`, async t => {
    const flow = await Flow.make(t)
    flow.app.get('/', (request, reply) => {
      flow.add(request)
      return reply.send(make([]))
    })
    t.match(await read(get(await flow.listen())), { statusCode: 500, body: /expected/ })
    await flow.ended(became('errored'))
  })

  await t.test(`${name} that fails half-way: the handler has answered`, async t => {
    const flow = await Flow.make(t)
    flow.app.get('/', (request, reply) => {
      flow.add(request)
      return reply.send(make(['first half']))
    })
    await t.rejects(read(get(await flow.listen())), { code: 'ECONNRESET' })
    await flow.ended(became('answered'))
  })
}
