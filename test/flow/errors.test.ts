import { setImmediate } from 'node:timers/promises'
import type { FastifyInstance, FastifyReply } from 'fastify'
import t, { type Test } from 'tap'
import { became, Flow } from '../helpers/flow.ts'

const expected = new Error('expected')
const post = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' }

type Respond = (reply: FastifyReply) => unknown
type Route = (app: FastifyInstance) => void

const failures: Record<string, Route> = {}

for (const name of ['onRequest', 'preParsing', 'preValidation', 'preHandler', 'preSerialization', 'onSend'] as const) {
  failures[`${name} hook throws`] = app => {
    app.addHook(name as 'onRequest', () => { throw expected })
    app.post('/', () => ({}))
  }
  failures[`${name} hook rejects`] = app => {
    app.addHook(name as 'onRequest', () => Promise.reject(expected))
    app.post('/', () => ({}))
  }
}

const handlers: Record<string, Respond> = {
  'handler throws': () => { throw expected },
  'handler rejects': () => Promise.reject(expected),
  'handler rejects later': async () => {
    await setImmediate()
    throw expected
  },
  'handler calls reply.send(error)': reply => { void reply.send(expected) },
  'handler returns an error': () => expected,
  'handler answers with what cannot be serialised': () => ({ big: 1n }),
  'handler answers with no valid payload': reply => reply.type('text/plain').send({ not: 'text' })
}

for (const [name, respond] of Object.entries(handlers)) {
  failures[name] = app => app.post('/', (_request, reply) => respond(reply))
}

for (const thrown of ['expected', 42, { message: 'expected' }, null, undefined]) {
  failures[`handler throws ${JSON.stringify(thrown)}`] = app => app.post('/', () => { throw thrown as Error })
  failures[`handler rejects with ${JSON.stringify(thrown)}`] = app => app.post('/', () => Promise.reject(thrown as Error))
}

failures['validation fails'] = app => app.post('/', { schema: { body: { type: 'object', required: ['missing'] } } }, () => t.fail())
failures['asynchronous validation fails'] = app => {
  const validate = () => Promise.reject(expected)
  app.setValidatorCompiler(() => validate as never)
  app.post('/', { schema: { body: {} } }, () => t.fail())
}
failures['body has a type that nobody parses'] = app => {
  app.removeContentTypeParser('application/json')
  app.post('/', () => t.fail())
}
failures['body is too long'] = app => app.post('/', { bodyLimit: 1 }, () => t.fail())

/** What looks like a failure, and is none of what the handler did. */
const answers: Record<string, Route> = {
  'handler throws after it has sent': app => app.post('/', (_request, reply) => {
    void reply.send('sent')
    throw expected
  }),
  'handler rejects after it has sent': app => app.post('/', (_request, reply) => {
    void reply.send('sent')
    return Promise.reject(expected)
  }),
  'handler sends twice, the second time an error': app => app.post('/', (_request, reply) => {
    void reply.send('sent')
    void reply.send(expected)
  }),
  'onResponse hook throws': app => {
    app.addHook('onResponse', () => { throw expected })
    app.post('/', () => 'sent')
  },
  'handler deals with a failed validation': app => app.post('/', {
    attachValidation: true,
    schema: { body: { type: 'object', required: ['missing'] } }
  }, request => request.validationError?.message),
  'a hook answers in place of the handler': app => {
    app.addHook('preHandler', (_request, reply) => reply.code(401).send('who are you?'))
    app.post('/', () => t.fail())
  }
}

async function request (t: Test, route: Route): Promise<Flow> {
  const flow = await Flow.make(t)
  flow.app.addHook('onRequest', (request, _reply, done) => {
    flow.add(request) // before anything can throw
    done()
  })
  route(flow.app)
  await fetch(await flow.listen(), post)
  return flow
}

for (const [name, route] of Object.entries(failures)) {
  await t.test(name, async t => {
    const flow = await request(t, route)
    await flow.ended(became('errored'))
  })

  await t.test(`${name}, and the error handler answers 200`, async t => {
    let handled = 0
    const flow = await request(t, app => {
      app.setErrorHandler((_error, _request, reply) => {
        handled++
        return reply.code(200).send('handled')
      })
      route(app)
    })
    t.ok(handled > 0)
    await flow.ended(became('errored'))
  })
}

for (const [name, route] of Object.entries(answers)) {
  await t.test(`${name}: answered`, async t => {
    const flow = await request(t, route)
    await flow.ended(became('answered'))
  })
}
