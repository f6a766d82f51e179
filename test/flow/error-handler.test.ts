import { setImmediate } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { became, Flow } from '../helpers/flow.ts'

const expected = new Error('expected')

type ErrorHandler = Parameters<FastifyInstance['setErrorHandler']>[0]

const errorHandlers: Record<string, [handler: ErrorHandler, status: number]> = {
  'returns an answer': [() => 'handled', 200],
  'sends 200': [(_error, _request, reply) => reply.code(200).send('handled'), 200],
  'sends 200 in a later turn': [async (_error, _request, reply) => {
    await setImmediate()
    return reply.code(200).send('handled')
  }, 200],
  'sends the error': [(error, _request, reply) => reply.send(error), 500],
  throws: [() => { throw new Error('of the handler') }, 500],
  'rejects later': [async () => {
    await setImmediate()
    throw new Error('of the handler')
  }, 500],
  'hijacks the reply': [(_error, _request, reply) => { reply.hijack().raw.writeHead(202).end() }, 202]
}

for (const [name, [handle, status]] of Object.entries(errorHandlers)) {
  await t.test(`an error handler that ${name}`, async t => {
    const flow = await Flow.make(t)
    flow.app.setErrorHandler(function (error, request, reply) {
      flow.add(request, 'error handler ')
      return handle.call(this, error, request, reply) as unknown
    })
    flow.app.addHook('onError', (request, _reply, _error, done) => {
      flow.add(request, 'onError ')
      done()
    })
    flow.app.get('/', request => {
      flow.add(request, 'handler ')
      throw expected
    })
    t.equal((await fetch(await flow.listen())).status, status)
    await flow.ended(became('errored', 'handler ', 'onError ', 'error handler '))
  })
}

await t.test('nested error handlers', async t => {
  const flow = await Flow.make(t)
  flow.app.setErrorHandler((_error, request, reply) => {
    flow.add(request, 'outer ')
    return reply.code(200).send('handled')
  })
  await flow.app.register((scope, _options, done) => {
    scope.setErrorHandler((error, request) => {
      flow.add(request, 'inner ')
      throw error
    })
    scope.get('/', request => {
      flow.add(request, 'handler ')
      throw expected
    })
    done()
  })
  t.equal((await fetch(await flow.listen())).status, 200)
  await flow.ended(became('errored', 'handler ', 'inner ', 'outer '))
})

await t.test('first add in the error handler', async t => {
  const flow = await Flow.make(t)
  flow.app.setErrorHandler((_error, request, reply) => {
    void reply.code(200).send('handled')
    flow.add(request)
  })
  flow.app.get('/', () => { throw expected })
  t.equal((await fetch(await flow.listen())).status, 200)
  await flow.ended(became('errored'))
})

const onErrorHooks: Record<string, () => unknown> = {
  'takes its time': async () => { for (let turn = 0; turn < 10; turn++) await setImmediate() },
  throws: () => { throw new Error('of the hook') },
  rejects: () => Promise.reject(new Error('of the hook'))
}

for (const [name, hook] of Object.entries(onErrorHooks)) {
  for (const [order, before] of [['earlier', true], ['later', false]] as const) {
    await t.test(`an onError hook of an ${order} plugin that ${name}`, async t => {
      const addHook = (app: FastifyInstance): void => { app.addHook('onError', hook as () => Promise<void>) }
      const flow = await Flow.make(t, {}, {}, before ? addHook : undefined)
      if (!before) addHook(flow.app)
      flow.app.get('/', request => {
        flow.add(request)
        throw expected
      })
      t.equal((await fetch(await flow.listen())).status, 500)
      await flow.ended(became('errored'))
    })
  }
}

await t.test('onSend throws, and behind it an onError hook of an earlier plugin', async t => {
  const flow = await Flow.make(t, {}, {}, app => app.addHook('onError', () => { throw new Error('of the hook') }))
  flow.app.addHook('onSend', () => { throw expected })
  flow.app.get('/', request => {
    flow.add(request)
    return 'answer'
  })
  t.equal((await fetch(await flow.listen())).status, 500)
  await flow.ended(became('errored'))
})
