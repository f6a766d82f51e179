import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import websocket from '@fastify/websocket'
import type { FastifyRequest } from 'fastify'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { became, Flow, NEVER } from '../helpers/flow.ts'

/** Greets; adds tasks before the upgrade, at it, and with each message. */
async function makeFlow (t: Test, onUpgrade: (socket: WebSocket) => void = () => {}): Promise<Flow> {
  const flow = await Flow.make(t, { abortGrace: NEVER })
  await flow.app.register(websocket)
  flow.app.addHook('preValidation', (request, reply, done) => {
    flow.add(request, 'preValidation ')
    if (request.url === '/refused') void reply.code(401).send('who are you?')
    else done()
  })
  const handle = (socket: WebSocket, request: FastifyRequest): void => {
    flow.add(request, 'upgrade ')
    socket.on('message', () => {
      flow.add(request, 'message ')
      t.equal(flow.app.backgroundTasks.stats().completed, 0, 'nothing runs while the connection lasts')
      socket.send('goodbye')
    })
    socket.send('welcome')
    onUpgrade(socket)
  }
  flow.app.get('/', { websocket: true }, handle)
  flow.app.get('/refused', { websocket: true }, handle)
  flow.app.get('/plain', request => {
    flow.add(request, 'plain ')
    return 'answer'
  })
  return flow
}

async function dial (flow: Flow, path = '/'): Promise<WebSocket> {
  const client = new WebSocket((await flow.listen()).replace('http', 'ws') + path)
  await once(client, 'message')
  return client
}

const endings: Record<string, (client: WebSocket) => void> = {
  'the client closes': client => client.close(),
  'the client breaks off': client => client.terminate()
}

for (const [name, leave] of Object.entries(endings)) {
  await t.test(name, async t => {
    const flow = await makeFlow(t)
    const client = await dial(flow)
    client.send('hello')
    await once(client, 'message')
    leave(client)
    await flow.ended(became('answered', 'preValidation ', 'upgrade ', 'message '))
  })
}

await t.test('the server closes', async t => {
  const flow = await makeFlow(t, socket => socket.close())
  await once(await dial(flow), 'close')
  await flow.ended(became('answered', 'preValidation ', 'upgrade '))
})

await t.test('the handler throws once it has upgraded', async t => {
  const flow = await makeFlow(t, () => { throw new Error('expected') })
  await once(await dial(flow), 'close')
  await flow.ended(became('answered', 'preValidation ', 'upgrade '))
})

await t.test('a hook refuses the upgrade', async t => {
  const flow = await makeFlow(t)
  const client = new WebSocket((await flow.listen()).replace('http', 'ws') + '/refused')
  client.on('error', () => {}) // of the refusal
  const [, response] = await once(client, 'unexpected-response') as [unknown, IncomingMessage]
  t.equal(response.statusCode, 401)
  response.destroy()
  await flow.ended(became('answered', 'preValidation '))
})

await t.test('no route to upgrade to', async t => {
  const flow = await makeFlow(t)
  const client = new WebSocket((await flow.listen()).replace('http', 'ws') + '/plain')
  await once(client, 'close')
  await flow.ended(became('answered', 'preValidation '))
})

await t.test('an ordinary request beside it', async t => {
  const flow = await makeFlow(t)
  const client = await dial(flow)
  await fetch(client.url.replace('ws', 'http') + 'plain')
  client.close()
  await flow.ended(became('answered', 'preValidation ', 'upgrade '), became('answered', 'preValidation ', 'plain '))
})

await t.test('app.close() ends the connection and waits for its tasks', async t => {
  const flow = await makeFlow(t)
  await dial(flow)
  await flow.app.close()
  await flow.ended(became('answered', 'preValidation ', 'upgrade '))
})

await t.test('injectWS', async t => {
  const flow = await makeFlow(t)
  await flow.app.ready()
  const client = await flow.app.injectWS('/')
  client.terminate()
  await flow.ended(became('answered', 'preValidation ', 'upgrade '))
})
