import { once } from 'node:events'
import { connect, constants } from 'node:http2'
import { PassThrough } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { FastifyReply, FastifyRequest } from 'fastify'
import t, { type Test } from 'tap'
import { Flow, NEVER } from '../helpers/flow.ts'
import { latch } from '../helpers/latch.ts'
import { dial, get, post } from '../helpers/raw-client.ts'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

/** Requests whose tasks wait until it is known what is left of them. */
class Waiting {
  readonly #held: [name: string, ref: WeakRef<object>][] = []
  readonly #wait = latch()
  requests = 0

  /** Apart from the handler, so that no closure of a task can see the request. */
  add (request: FastifyRequest, reply: FastifyReply): void {
    this.requests++
    for (const [name, object] of Object.entries({ request, reply, 'request.raw': request.raw, 'reply.raw': reply.raw })) {
      this.#held.push([`${name} of ${request.id}`, new WeakRef(object)])
    }
    addTasks(request.backgroundTasks, this.#wait.opened)
  }

  async check (t: Test, { backgroundTasks }: Flow['app']): Promise<void> {
    while (backgroundTasks.stats().running < this.requests) await setImmediate()
    let left: string[] = []
    for (let turn = 0; turn < 1_000; turn++) {
      await setImmediate()
      collectGarbage()
      left = this.#held.filter(([, ref]) => ref.deref() !== undefined).map(([name]) => name)
      if (left.length === 0) break
    }
    t.strictSame(left, [], 'nothing is held')
    t.match(backgroundTasks.stats(), { running: this.requests, pending: this.requests })
    this.#wait.open()
    await backgroundTasks.idle()
    t.match(backgroundTasks.stats(), { added: this.requests * 2, completed: this.requests * 2 })
  }
}

function addTasks (tasks: FastifyRequest['backgroundTasks'], wait: Promise<void>): void {
  tasks.add({ when: 'always' }, ({ log, signal }) => {
    log.debug({ signal }, 'waits')
    return wait
  })
  tasks.add({ when: 'always' }, () => {})
}

const requests = { GET: get('/'), POST: post('/', { some: 'body' }) }

const responds: Record<string, (reply: FastifyReply) => unknown> = {
  'a value': () => 'answer',
  'an error': () => { throw new Error('expected') },
  'hijack, raw.end': reply => { reply.hijack().raw.end('answer') }
}

const lateResponds: Record<string, [respond: () => unknown, abortGrace: number]> = {
  'then answered': [() => 'late', NEVER],
  'then answered with a stream': [() => new PassThrough(), NEVER],
  'never answered': [() => new Promise(() => {}), 0]
}

for (const [method, request] of Object.entries(requests)) {
  for (const [name, respond] of Object.entries(responds)) {
    await t.test(`${method}: ${name}, the connection kept`, async t => {
      const flow = await Flow.make(t)
      const waiting = new Waiting()
      flow.app.route({
        method: ['GET', 'POST'],
        url: '/',
        handler: (request, reply) => {
          waiting.add(request, reply)
          return respond(reply)
        }
      })
      const socket = await dial(await flow.listen())
      for (let i = 0; i < 3; i++) {
        socket.write(request)
        await once(socket, 'data')
      }
      await waiting.check(t, flow.app)
      socket.destroy()
    })
  }

  for (const [name, [respond, abortGrace]] of Object.entries(lateResponds)) {
    await t.test(`${method}: aborted, ${name}`, async t => {
      const flow = await Flow.make(t, { abortGrace })
      const waiting = new Waiting()
      flow.app.route({
        method: ['GET', 'POST'],
        url: '/',
        handler: async (request, reply) => {
          waiting.add(request, reply)
          await flow.untilGone()
          return respond()
        }
      })
      await flow.abort(request)
      await flow.untilGone()
      await waiting.check(t, flow.app)
    })
  }
}

await t.test('pipelined, the connection kept', async t => {
  const flow = await Flow.make(t)
  const waiting = new Waiting()
  const last = latch()
  flow.app.get('/', async (request, reply) => {
    waiting.add(request, reply)
    if (waiting.requests === 3) last.open()
    await last.opened
    return 'answer'
  })
  const socket = await dial(await flow.listen())
  socket.write(get('/').repeat(3))
  let received = ''
  while (received.split('answer').length <= 3) received += String((await once(socket, 'data'))[0])
  await waiting.check(t, flow.app)
  socket.destroy()
})

for (const reset of [false, true]) {
  await t.test(`HTTP/2: ${reset ? 'reset' : 'answered'}, the session kept`, async t => {
    const flow = await Flow.make(t, { abortGrace: 0 }, { http2: true })
    const waiting = new Waiting()
    flow.app.get('/', async (request, reply) => {
      waiting.add(request, reply)
      if (reset) await flow.untilGone()
      return 'answer'
    })
    const session = connect(await flow.listen())
    const stream = session.request().resume()
    if (reset) {
      await flow.entered()
      stream.close(constants.NGHTTP2_CANCEL)
    }
    await once(stream, 'close')
    await waiting.check(t, flow.app)
    session.destroy()
  })
}

await t.test('inject', async t => {
  const flow = await Flow.make(t)
  const waiting = new Waiting()
  flow.app.get('/', (request, reply) => {
    waiting.add(request, reply)
    return 'answer'
  })
  await flow.app.inject('/')
  await waiting.check(t, flow.app)
})
