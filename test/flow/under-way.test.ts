import dns from 'node:dns'
import { once } from 'node:events'
import { Agent, get, type IncomingMessage } from 'node:http'
import { connect } from 'node:http2'
import { type AddressInfo, createServer } from 'node:net'
import { mock } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import backgroundTasks from '../../lib/index.ts'
import type { BackgroundTasksOptions } from '../../types/index.ts'
import { latch } from '../helpers/latch.ts'
import { fakeTimers, passTimeUntil, turns } from '../helpers/timers.ts'

const skip = await isThere('::1') ? false : 'this machine has no ::1, so nothing can listen on two addresses'

async function isThere (host: string): Promise<boolean> {
  const server = createServer().listen({ host, port: 0 })
  try {
    await once(server, 'listening')
    server.close()
    return true
  } catch {
    return false
  }
}

/** The addresses of localhost, of which a container's /etc/hosts often knows one. */
const localhost = [{ address: '127.0.0.1', family: 4 }, { address: '::1', family: 6 }]

const { lookup } = dns
mock.method(dns, 'lookup', (host: string, ...rest: unknown[]) => {
  const done = rest.at(-1) as (error: null, found: unknown, family?: number) => void
  if (host !== 'localhost') return Reflect.apply(lookup, dns, [host, ...rest]) as unknown
  const { all } = rest[0] as { all?: boolean }
  if (all === true) done(null, localhost)
  else done(null, '127.0.0.1', 4)
})

interface Handler {
  readonly app: FastifyInstance
  readonly entered: Promise<void>
  readonly answer: () => void
  /** Fastify has closed `app.server`, and the drain begins. */
  readonly draining: Promise<void>
  readonly ran: string[]
}

/** An application whose route adds its task once it is told to answer. */
async function make (t: Test, options: BackgroundTasksOptions = {}, server: object = {}): Promise<Handler> {
  const app = Fastify(server)
  t.teardown(() => app.close())
  const [entered, answer, draining] = [latch(), latch(), latch()]
  const ran: string[] = []
  await app.register(backgroundTasks, options)
  app.server.once('close', () => draining.open())
  app.get('/', async request => {
    entered.open()
    await answer.opened
    request.backgroundTasks.add({ name: 'late' }, async () => {
      await setImmediate()
      ran.push('late')
    })
    return 'answer'
  })
  return { app, entered: entered.opened, answer: answer.open, draining: draining.opened, ran }
}

/** As by default, without a host. */
async function listen (t: Test, app: FastifyInstance): Promise<number> {
  await app.listen({ port: 0 })
  const addresses = app.addresses() as AddressInfo[]
  t.strictSame(addresses.map(({ address }) => address).toSorted(), ['127.0.0.1', '::1'])
  return addresses[0]!.port
}

for (const keepAlive of [false, true]) {
  await t.test(`a request on the second address, of a connection that ${keepAlive ? 'stays' : 'ends with it'}`, { skip }, async t => {
    const { app, entered, answer, draining, ran } = await make(t)
    const port = await listen(t, app)
    const agent = new Agent({ keepAlive })
    t.teardown(() => agent.destroy())
    const response = once(get({ host: '::1', port, agent }), 'response') as Promise<[IncomingMessage]>
    await entered
    let isClosed = false
    const closed = app.close().then(() => { isClosed = true })
    await draining
    await turns(20)
    t.equal(isClosed, false, 'close() waits for it')
    answer()
    const [{ statusCode }] = await response
    t.equal(statusCode, 200)
    await closed
    t.strictSame(ran, ['late'])
    t.match(app.backgroundTasks.stats(), { added: 1, completed: 1, lost: 0 })
  })
}

await t.test('a stream of HTTP/2 on the second address', { skip }, async t => {
  const { app, entered, answer, draining, ran } = await make(t, {}, { http2: true })
  const session = connect(`http://[::1]:${await listen(t, app)}`)
  t.teardown(() => session.destroy())
  const stream = session.request({ ':path': '/' })
  await entered
  const closed = app.close()
  await draining
  await turns(20)
  answer()
  await once(stream, 'response')
  await closed
  t.strictSame(ran, ['late'])
})

await t.test('a request on the second address that a scope of the application answers', { skip }, async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  const [entered, answer, ran] = [latch(), latch(), latch()]
  await app.register(async scope => {
    await scope.register(backgroundTasks)
    scope.get('/', async request => {
      entered.open()
      await answer.opened
      request.backgroundTasks.add(ran.open)
      return 'answer'
    })
  })
  get({ host: '::1', port: await listen(t, app), agent: false }).on('error', () => {})
  await entered.opened
  const closed = app.close()
  await turns(20)
  answer.open()
  await Promise.all([closed, ran.opened])
})

await t.test('a connection to the second address without a request does not hold up the close', { skip }, async t => {
  const { app, answer } = await make(t, { drainTimeout: 2 ** 30 })
  answer()
  const session = connect(`http://[::1]:${await listen(t, app)}`)
  session.on('error', () => {}) // it is no server of HTTP/2
  t.teardown(() => session.destroy())
  await once(session, 'connect')
  await app.close()
})

await t.test('an inject', async t => {
  const { app, entered, answer, draining, ran } = await make(t)
  await app.listen({ host: '127.0.0.1', port: 0 })
  const response = app.inject('/')
  await entered
  let isClosed = false
  const closed = app.close().then(() => { isClosed = true })
  await draining
  await turns(20)
  t.equal(isClosed, false, 'close() waits for it')
  answer()
  t.equal((await response).statusCode, 200)
  await closed
  t.strictSame(ran, ['late'])
  t.match(app.backgroundTasks.stats(), { added: 1, completed: 1, lost: 0 })
})

await t.test('an inject that is made by a request whose own client has gone', async t => {
  const { app, entered, answer, ran } = await make(t)
  const client = new AbortController()
  app.get('/outer', async request => {
    request.backgroundTasks.add({ when: 'always' }, () => { ran.push('outer') })
    await app.inject('/')
    return 'answer'
  })
  const response = app.inject({ url: '/outer', signal: client.signal })
  await entered
  client.abort()
  await t.rejects(response, { name: 'AbortError' })
  const closed = app.close()
  await turns()
  answer()
  await closed
  t.strictSame(ran.toSorted(), ['late', 'outer'])
})

await t.test('an injected answer that nobody reads holds up the close no longer than drainTimeout', async t => {
  const { app, answer } = await make(t, { drainTimeout: 20 })
  answer()
  await app.inject({ url: '/', payloadAsStream: true })
  await app.close()
  t.match(app.backgroundTasks.stats(), { added: 1, pending: 0, running: 0 })
})

await t.test('an inject that is never answered holds it up no longer either, and what it adds then is lost', async t => {
  fakeTimers(t)
  const { app, entered, answer, ran } = await make(t)
  const response = app.inject('/')
  await entered
  await passTimeUntil(app.close())
  answer()
  await response
  t.strictSame(ran, [])
  t.match(app.backgroundTasks.stats(), { added: 1, lost: 1 })
})
