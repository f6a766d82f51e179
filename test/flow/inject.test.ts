import { Readable } from 'node:stream'
import type { FastifyReply } from 'fastify'
import t from 'tap'
import type { Ending } from '../../types/index.ts'
import { became, Flow, NEVER } from '../helpers/flow.ts'

const replies: Record<string, [respond: (reply: FastifyReply) => unknown, ending: Ending]> = {
  'a value': [() => 'answer', 'answered'],
  'reply.send': [reply => { void reply.send('answer') }, 'answered'],
  'a stream': [() => Readable.from(['ans', 'wer']), 'answered'],
  'status 204': [reply => reply.code(204).send(), 'answered'],
  'hijack, raw.end': [reply => { reply.hijack().raw.end('answer') }, 'answered'],
  'the 404 handler': [reply => { reply.callNotFound() }, 'answered'],
  'an error': [() => { throw new Error('expected') }, 'errored'],
  'reply.send(error)': [reply => { void reply.send(new Error('expected')) }, 'errored']
}

for (const [name, [respond, ending]] of Object.entries(replies)) {
  for (const payloadAsStream of [false, true]) {
    await t.test(`${name}${payloadAsStream ? ', read as a stream' : ''}`, async t => {
      const flow = await Flow.make(t)
      flow.app.get('/', (request, reply) => {
        flow.add(request, 'before ')
        try {
          return respond(reply)
        } finally {
          flow.add(request, 'after ')
        }
      })
      const response = await flow.app.inject({ url: '/', payloadAsStream })
      if (payloadAsStream) await response.stream().toArray()
      await flow.ended(became(ending, 'before ', 'after '))
    })
  }

  await t.test(`${name}, first add after it`, async t => {
    const flow = await Flow.make(t)
    flow.app.get('/', (request, reply) => {
      try {
        return respond(reply)
      } finally {
        flow.add(request)
      }
    })
    await flow.app.inject('/')
    await flow.ended(became(ending))
  })
}

await t.test('add in onResponse, which light-my-request calls within end()', async t => {
  const flow = await Flow.make(t)
  flow.app.addHook('onResponse', (request, _reply, done) => {
    flow.add(request)
    done()
  })
  flow.app.get('/', () => 'answer')
  await flow.app.inject('/')
  await flow.ended(became('answered'))
})

await t.test('many at once', async t => {
  const flow = await Flow.make(t)
  flow.app.get('/', async request => {
    flow.add(request)
    await new Promise(setImmediate)
    return 'answer'
  })
  const responses = await Promise.all(Array.from({ length: 50 }, () => flow.app.inject('/')))
  await flow.ended(...responses.map(() => became('answered')))
})

await t.test('aborted by its signal', async t => {
  const flow = await Flow.make(t, { abortGrace: NEVER })
  const client = new AbortController()
  flow.app.get('/', async request => {
    flow.add(request)
    await flow.untilGone()
    return 'late'
  })
  const response = flow.app.inject({ url: '/', signal: client.signal })
  await flow.entered()
  client.abort()
  await t.rejects(response, { name: 'AbortError' })
  await flow.ended(became('answered'))
})

await t.test('close() right after it waits for the tasks', async t => {
  const flow = await Flow.make(t)
  flow.app.get('/', request => {
    flow.add(request)
    return 'answer'
  })
  await flow.app.inject('/')
  await flow.app.close()
  t.match(flow.app.backgroundTasks.stats(), { added: 3, pending: 0, completed: 2, skipped: 1 })
})
