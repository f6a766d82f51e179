import { PassThrough, Readable } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { runInNewContext } from 'node:vm'
import type { FastifyInstance, FastifyReply } from 'fastify'
import t, { type Test } from 'tap'
import { became, Flow, NEVER } from '../helpers/flow.ts'
import { latch } from '../helpers/latch.ts'
import { dial, get, post } from '../helpers/raw-client.ts'
import { turns } from '../helpers/timers.ts'

type Respond = (reply: FastifyReply) => unknown

const requests = { GET: get('/'), 'POST with a consumed body': post('/', { some: 'body' }) }

const answers: Record<string, Respond> = {
  'a value': () => 'late',
  null: () => null,
  'an error status': reply => reply.code(500).send({ failed: true }),
  'a redirect': reply => reply.redirect('/elsewhere'),
  'the 404 handler': reply => { reply.callNotFound() },
  'a stream': () => Readable.from(['la', 'te']),
  'a stream that never starts': () => new PassThrough(),
  'a web stream': () => new Response('late').body,
  'a Response': () => new Response('late'),
  'reply.send': reply => { void reply.send('late') },
  'reply.send in a later turn': reply => {
    void setImmediate().then(() => reply.send('late'))
    return reply
  }
}

const failures: Record<string, Respond> = {
  'throws an Error': () => { throw new Error('expected') },
  // eslint-disable-next-line @typescript-eslint/only-throw-error
  'throws a string': () => { throw 'expected' },
  // eslint-disable-next-line @typescript-eslint/only-throw-error
  'throws undefined': () => { throw undefined },
  // eslint-disable-next-line @typescript-eslint/only-throw-error
  'throws an object': () => { throw { statusCode: 409 } },
  'throws an Error of another realm': () => { throw runInNewContext('new Error("expected")') },
  'rejects in a later turn': async () => {
    await setImmediate()
    throw new Error('expected')
  },
  'calls reply.send(error)': reply => reply.send(new Error('expected')),
  'returns an Error': () => new Error('expected'),
  'returns what cannot be serialised': () => ({ big: 1n })
}

/** Adds tasks, loses the client, adds more, and responds. */
async function abortInHandler (t: Test, request: string, respond: Respond, abortGrace = NEVER, before?: (app: FastifyInstance) => void): Promise<Flow> {
  const flow = await Flow.make(t, { abortGrace }, {}, before)
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
  await flow.abort(request)
  return flow
}

for (const [method, request] of Object.entries(requests)) {
  await t.test(`${method}: aborted, then the handler answers with`, async t => {
    for (const [name, respond] of Object.entries(answers)) {
      await t.test(name, async t => {
        const flow = await abortInHandler(t, request, respond)
        await flow.ended(became('answered', 'early ', 'late '))
      })
    }
  })

  await t.test(`${method}: aborted, then the handler`, async t => {
    for (const [name, respond] of Object.entries(failures)) {
      await t.test(name, async t => {
        const flow = await abortInHandler(t, request, respond)
        await flow.ended(became('errored', 'early ', 'late '))
      })

      await t.test(`${name}, and an earlier plugin's onError hook takes its time`, async t => {
        const flow = await abortInHandler(t, request, respond, NEVER, app => {
          app.addHook('onError', async () => { await turns(10) })
        })
        await flow.ended(became('errored', 'early ', 'late '))
      })
    }
  })

  await t.test(`${method}: aborted, then the handler hijacks the reply`, async t => {
    const flow = await abortInHandler(t, request, reply => { reply.hijack() }, 20)
    await flow.ended(became('answered', 'early ', 'late '))
  })

  await t.test(`${method}: aborted, and no answer within abortGrace`, async t => {
    const flow = await abortInHandler(t, request, () => new Promise(() => {}), 20)
    await flow.ended(became('unanswered', 'early ', 'late '))
  })

  await t.test(`${method}: aborted, and the handler returns nothing`, async t => {
    const flow = await abortInHandler(t, request, () => {}, 0)
    await flow.ended(became('unanswered', 'early ', 'late '))
  })

  await t.test(`${method}: answered after abortGrace`, async t => {
    const answer = latch<string>()
    const flow = await abortInHandler(t, request, () => answer.opened, 0)
    await flow.ended(became('unanswered', 'early ', 'late '))
    answer.open('too late')
    await flow.ended(became('unanswered', 'early ', 'late '))
  })

  await t.test(`${method}: aborted, and close() waits for the answer`, async t => {
    const [closing, answer] = [latch(), latch<string>()]
    const flow = await abortInHandler(t, request, () => answer.opened, NEVER, app => {
      app.addHook('preClose', done => {
        closing.open()
        done()
      })
    })
    const closed = flow.app.close()
    await closing.opened
    await setImmediate()
    answer.open('late')
    await closed
    await flow.ended(became('answered', 'early ', 'late '))
  })

  await t.test(`${method}: aborted before the handler`, async t => {
    const flow = await Flow.make(t, { abortGrace: NEVER })
    flow.app.addHook('onRequest', (request, _reply, done) => {
      flow.add(request, 'onRequest ')
      done()
    })
    flow.app.addHook('preHandler', () => flow.untilGone())
    flow.app.route({
      method: ['GET', 'POST'],
      url: '/',
      handler: request => {
        flow.add(request, 'handler ')
        return 'late'
      }
    })
    await flow.abort(request)
    await flow.ended(became('answered', 'onRequest ', 'handler '))
  })

  await t.test(`${method}: aborted after the handler, the answer on its way`, async t => {
    const flow = await Flow.make(t, { abortGrace: NEVER })
    const sent = latch()
    flow.app.route({
      method: ['GET', 'POST'],
      url: '/',
      handler: (request, reply) => {
        flow.add(request, 'before ')
        void reply.send(Buffer.alloc(32 * 1024 * 1024)) // more than the system takes off Node
        flow.add(request, 'after ')
        sent.open()
      }
    })
    const socket = await dial(await flow.listen())
    socket.pause()
    socket.write(request)
    await sent.opened
    t.match(flow.app.backgroundTasks.stats(), { added: 6, pending: 6 })
    socket.destroy()
    await flow.ended(became('answered', 'before ', 'after '))
  })
}
