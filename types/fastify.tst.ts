import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { Type } from '@sinclair/typebox'
import Fastify, { type FastifyBaseLogger, type FastifyInstance, type FastifyTypeProvider } from 'fastify'
import { expect, test } from 'tstyche'
import { type BackgroundTasks, backgroundTasks, type RequestBackgroundTasks } from '../lib/index.ts'

test('request and instance are augmented', () => {
  const app = Fastify()
  expect(app.backgroundTasks).type.toBe<BackgroundTasks>()
  app.get('/', { schema: { querystring: Type.Object({}) } }, request => {
    expect(request.backgroundTasks).type.toBe<RequestBackgroundTasks>()
    expect(request.backgroundTasks).type.not.toHaveProperty('stats')
  })
  app.addHook('onError', request => {
    expect(request.backgroundTasks).type.toBe<RequestBackgroundTasks>()
  })
})

test('registering keeps the generics of the instance', () => {
  interface Provider extends FastifyTypeProvider { validator: string }
  const app = Fastify({ serverFactory: handler => createServer(handler) }).withTypeProvider<Provider>()
  app.register(backgroundTasks)
  type Instance = FastifyInstance<Server, IncomingMessage, ServerResponse, FastifyBaseLogger, Provider>
  expect(app).type.toBeAssignableTo<Instance>()
  expect(app.backgroundTasks).type.toBe<BackgroundTasks>()
})
