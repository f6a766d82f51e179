import type { Static, TSchema } from '@sinclair/typebox'
import Fastify, {
  type FastifyReply, type FastifyRequest, type FastifyTypeProvider, type onRequestAsyncHookHandler,
  type onRequestHookHandler
} from 'fastify'
import { expect, test } from 'tstyche'
import backgroundTasks, { defineTask } from '../lib/index.ts'
import taskRoutes, {
  type Authenticate, type Authorize, type RouteAction, type RoutesOptions, taskAccepted, type TaskStatus, taskStatus
} from '../lib/routes/index.ts'

const app = Fastify()
const note = defineTask({ name: 'note', run () {} })
await app.register(backgroundTasks, { tasks: [note] })

test('it is either for everybody, or somebody says for whom', () => {
  app.register(taskRoutes, { prefix: '/tasks', public: true })
  app.register(taskRoutes, {
    prefix: '/tasks',
    authorize: (request, { id, state }) => request.id === id && state === 'running'
  })
  app.register(taskRoutes, {
    authorize: () => Promise.resolve(true),
    expose: ({ result, ...info }) => info,
    logLevel: 'warn'
  })
  app.register(taskRoutes, {
    maxLookups: 10,
    authorize (_request, { owner }, action) {
      expect(owner).type.toBe<string | undefined>()
      expect(action).type.toBe<RouteAction>()
      return owner === 'ada' && action === 'view'
    }
  })
  expect<{ prefix: string }>().type.not.toBeAssignableTo<RoutesOptions>()
  expect<{ public: false }>().type.not.toBeAssignableTo<RoutesOptions>()
  expect<{ public: true, authorize: Authorize }>().type.not.toBeAssignableTo<RoutesOptions>()
  expect<{ authorize: () => string }>().type.not.toBeAssignableTo<RoutesOptions>()
})

test('authenticate is a hook, or several', () => {
  const known = async ({ id }: FastifyRequest, reply: FastifyReply): Promise<void> => reply.code(401).send(id)
  app.register(taskRoutes, { public: true, authenticate: known })
  app.register(taskRoutes, { public: true, authenticate: [known, (_request, _reply, done) => { done() }] })
  app.register(taskRoutes, {
    public: true,
    async authenticate (request) { expect(request.headers.authorization).type.toBe<string | undefined>() }
  })
  expect<onRequestHookHandler>().type.toBeAssignableTo<Authenticate>()
  expect<onRequestAsyncHookHandler>().type.toBeAssignableTo<Authenticate>()
  expect<{ public: true, authenticate: string }>().type.not.toBeAssignableTo<RoutesOptions>()
  expect<{ authenticate: Authenticate }>().type.not.toBeAssignableTo<RoutesOptions>()
})

test('reply.accepted takes what add and enqueue return', () => {
  app.post('/', async (request, reply) => {
    expect(reply.accepted).type.toBeCallableWith(await request.backgroundTasks.enqueue(note))
    expect(reply.accepted).type.toBeCallableWith(request.backgroundTasks.add(note))
    expect(reply.accepted).type.not.toBeCallableWith('id')
    expect(reply.accepted({ id: '' })).type.toBe<FastifyReply>()
    return reply.accepted(request.backgroundTasks.add(note))
  })
  app.post<{ Body: string }>('/typed', { schema: { response: { 202: taskAccepted } } }, (request, reply) => {
    reply.accepted(request.backgroundTasks.add(note))
  })
})

test('the schemas say what they say', () => {
  expect<TaskStatus>().type.toBe<Static<typeof taskStatus>>()
  expect<TaskStatus['state']>().type.toBeAssignableTo<string>()
  expect<TaskStatus['endedAt']>().type.toBe<string | undefined>()
  expect<Static<typeof taskAccepted>>().type.toBe<{ taskId: string }>()
})

test('both go with a type provider', () => {
  interface Provider extends FastifyTypeProvider {
    validator: this['schema'] extends TSchema ? Static<this['schema']> : unknown
    serializer: this['schema'] extends TSchema ? Static<this['schema']> : unknown
  }
  const typed = app.withTypeProvider<Provider>()
  typed.register(taskRoutes, { public: true })
  typed.post('/', { schema: { response: { 202: taskAccepted } } }, async (request, reply) => {
    return reply.accepted(await request.backgroundTasks.enqueue(note))
  })
  typed.get('/', { schema: { response: { 200: taskStatus } } }, (_request, reply) => {
    expect(reply.send).type.not.toBeCallableWith({ taskId: 1 })
    reply.send({ taskId: '', task: 'note', state: 'completed', attempts: 1, enqueuedAt: '' })
  })
})
