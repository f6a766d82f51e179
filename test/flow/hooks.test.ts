import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import t, { type Test } from 'tap'
import backgroundTasks from '../../lib/index.ts'
import { became, Flow, NEVER } from '../helpers/flow.ts'
import { get } from '../helpers/raw-client.ts'

const beforeHandler = ['onRequest', 'preParsing', 'preValidation', 'preHandler'] as const
const afterHandler = ['preSerialization', 'onError', 'onSend', 'onResponse'] as const

/** Adds a task in each hook, in the handler, the error handler and the 404 handler. */
async function makeFlow (t: Test): Promise<Flow> {
  const flow = await Flow.make(t)
  const collectors = new Set()
  const add = (request: FastifyRequest, name: string): void => {
    flow.addOne(request, name)
    collectors.add(request.backgroundTasks)
    t.equal(collectors.size, 1, 'one collector a request')
  }
  for (const name of [...beforeHandler, ...afterHandler]) {
    // They differ in their other arguments.
    flow.app.addHook(name as 'onRequest', (request: FastifyRequest) => Promise.resolve(add(request, name)))
  }
  flow.app.get('/', request => {
    add(request, 'handler')
    return { an: 'answer' }
  })
  flow.app.get('/throws', request => {
    add(request, 'handler')
    throw new Error('expected')
  })
  flow.app.setErrorHandler((_error, request, reply) => {
    add(request, 'error handler')
    return reply.code(500).send({ an: 'answer' })
  })
  flow.app.setNotFoundHandler((request, reply) => {
    add(request, '404 handler')
    return reply.code(404).send({ an: 'answer' })
  })
  return flow
}

const expected = {
  '/': [...beforeHandler, 'handler', 'preSerialization', 'onSend', 'onResponse'],
  '/throws': [...beforeHandler, 'handler', 'onError', 'error handler', 'preSerialization', 'onSend', 'onResponse'],
  '/nowhere': [...beforeHandler, '404 handler', 'preSerialization', 'onSend', 'onResponse']
}

for (const [path, names] of Object.entries(expected)) {
  await t.test(`usable from every hook: ${path}`, async t => {
    const flow = await makeFlow(t)
    await fetch(await flow.listen() + path)
    await flow.ended(names)
  })
}

await t.test('usable from onRequestAbort', async t => {
  const flow = await Flow.make(t, { abortGrace: NEVER })
  flow.app.addHook('onRequestAbort', (request, done) => {
    flow.add(request)
    done()
  })
  flow.app.get('/', async () => {
    await flow.untilGone()
    return 'late'
  })
  await flow.abort(get('/'))
  await flow.untilGone()
  await flow.ended(became('answered'))
})

await t.test('usable from onTimeout, after which Fastify cuts the connection', async t => {
  const flow = await Flow.make(t, { abortGrace: 20 }, { connectionTimeout: 1_000 })
  flow.app.addHook('onTimeout', (request, _reply, done) => {
    flow.add(request, 'onTimeout ')
    done()
  })
  flow.app.get('/', request => {
    flow.add(request)
    return new Promise(() => {})
  })
  await t.rejects(fetch(await flow.listen()))
  await flow.ended(became('unanswered', '', 'onTimeout '))
})

await t.test('too early: an onRequest hook registered before the plugin', async t => {
  const flow = await Flow.make(t, {}, {}, app => {
    app.addHook('onRequest', (request, _reply, done) => {
      if (request.url === '/early') request.backgroundTasks.add(() => t.fail('never added'))
      done()
    })
  })
  flow.app.get('/early', () => t.fail('never reached'))
  flow.app.get('/', request => {
    flow.add(request)
    return 'answer'
  })
  const url = await flow.listen()
  const response = await fetch(`${url}/early`)
  t.match(await response.json(), { statusCode: 500, code: 'FST_ERR_BGT_TOO_EARLY' })
  t.equal((await fetch(url)).status, 200, 'a failure of that request only')
  await flow.ended(became('answered'))
})

await t.test('an onRequest hook registered before the plugin throws: tasks of onError and the error handler', async t => {
  const flow = await Flow.make(t, {}, {}, app => {
    app.addHook('onRequest', () => { throw new Error('expected') })
  })
  flow.app.addHook('onError', (request, _reply, _error, done) => {
    flow.add(request, 'onError ')
    done()
  })
  flow.app.setErrorHandler((_error, request, reply) => {
    flow.add(request, 'error handler ')
    return reply.code(401).send('who are you?')
  })
  flow.app.get('/', () => t.fail('never reached'))
  t.equal((await fetch(await flow.listen())).status, 401)
  await flow.ended(became('errored', 'onError ', 'error handler '))
})

await t.test('sibling scopes have their own', async t => {
  const app = Fastify({ forceCloseConnections: true })
  t.teardown(() => app.close())
  const ran: string[] = []
  for (const name of ['a', 'b']) {
    await app.register(async scope => {
      await scope.register(backgroundTasks, { hooks: { onTaskCompleted: event => ran.push(`${event.name} in ${name}`) } })
      scope.get('/', request => {
        request.backgroundTasks.add({ name: 'task' }, () => {})
        return scope.backgroundTasks.stats()
      })
      scope.get('/idle', async () => {
        await scope.backgroundTasks.idle()
        return scope.backgroundTasks.stats()
      })
    }, { prefix: name })
  }
  app.get('/outside', request => ({ has: 'backgroundTasks' in request || 'backgroundTasks' in app }))
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  const ask = async (path: string): Promise<unknown> => (await fetch(url + path)).json()
  t.match(await ask('/a'), { added: 1 })
  t.match(await ask('/a/idle'), { added: 1, completed: 1 })
  t.match(await ask('/b'), { added: 1 })
  t.match(await ask('/b/idle'), { added: 1, completed: 1 })
  t.strictSame(ran, ['task in a', 'task in b'])
  t.strictSame(await ask('/outside'), { has: false })
})

const registerAgain: Record<string, (app: FastifyInstance) => PromiseLike<unknown>> = {
  'in the same scope': app => app.register(backgroundTasks),
  'in a child scope': app => app.register(async scope => { await scope.register(backgroundTasks) })
}

for (const [where, register] of Object.entries(registerAgain)) {
  await t.test(`registered again ${where}`, async t => {
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(backgroundTasks)
    await t.rejects(Promise.resolve(register(app)), { code: 'FST_ERR_BGT_ALREADY_REGISTERED' })
  })
}
