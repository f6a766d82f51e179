import { type TObject, Type } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest, RegisterOptions } from 'fastify'
import fp from 'fastify-plugin'
import type { TaskInfo } from '../../types/index.ts'
import type { RoutesOptions } from '../../types/routes.ts'
import { check, type Checker } from '../check.ts'
import {
  brief, FST_ERR_BGT_INVALID_OPTIONS, FST_ERR_BGT_INVALID_TASK, FST_ERR_BGT_TASK_ENDED, FST_ERR_BGT_TASK_NOT_FOUND
} from '../errors.ts'
import { AddedTask } from '../in-process/added-task.ts'
import { isUuid } from '../uuid.ts'
import { cancelRoute, statusRoute } from './schemas.ts'
import { etagOf, isFresh, retryAfter, viewOf } from './view.ts'

export { taskAccepted, type TaskStatus, taskStatus } from './schemas.ts'
export type { Authorize, RoutesOptions } from '../../types/routes.ts'

interface ById {
  Params: { id: string }
}

const checker: Checker = TypeCompiler.Compile<TObject>(Type.Object({
  prefix: Type.Optional(Type.String()),
  authorize: Type.Optional(Type.Function([], Type.Unknown())),
  public: Type.Optional(Type.Boolean()),
  expose: Type.Optional(Type.Function([], Type.Unknown()))
}, { additionalProperties: false }))

function checkOptions (given: RoutesOptions & RegisterOptions): void {
  // Fastify's own, for any plugin.
  const { logLevel, logSerializers, ...options } = given
  check(checker, 'options', options)
  const isPublic = options.public === true
  if (isPublic === (options.authorize === undefined)) return
  const got = isPublic ? 'both' : 'neither'
  throw new FST_ERR_BGT_INVALID_OPTIONS(
    'options', `Expected either a function "authorize" or public: true, got ${got}`
  )
}

async function register (app: FastifyInstance, given: RoutesOptions): Promise<void> {
  checkOptions(given)
  let home = ''
  app.decorateReply('accepted', function (this: FastifyReply, task: { readonly id: string }): FastifyReply {
    const taskId = idOf(task)
    return this.code(202).header('location', `${home}/${taskId}`).send({ taskId })
  })
  // The routes get a scope of their own, so that the prefix, hooks and compilers are only theirs.
  await app.register(async scope => {
    home = homeOf(scope)
    addRoutes(scope, given)
  }, given as RegisterOptions)
}

function homeOf ({ prefix }: FastifyInstance): string {
  if (/[:*]/.test(prefix)) {
    throw new FST_ERR_BGT_INVALID_OPTIONS('options/prefix', `Expected a path without parameters, got ${brief(prefix)}`)
  }
  return prefix.replace(/\/$/, '')
}

/** The id of a task or job that has a status. */
function idOf (task: { readonly id: string }): string {
  const isDefined = !(task instanceof AddedTask) || task.form === 'payload'
  if (isDefined && typeof (task as Partial<typeof task> | null)?.id === 'string') return task.id
  throw new FST_ERR_BGT_INVALID_TASK('reply.accepted expects what "enqueue" resolved with, or what "add" returned ' +
    `for a task made by defineTask, got ${brief(task)}`)
}

function addRoutes (app: FastifyInstance, { authorize = () => true, expose = info => info }: RoutesOptions): void {
  const { backgroundTasks } = app

  // The schemas are for documentation only, whichever compiler (Ajv, Zod) the application has: an unknown id
  // of any form is a 404, and a result is JSON already.
  app.setValidatorCompiler(() => () => true)
  app.setSerializerCompiler(() => serialize)

  async function find (request: FastifyRequest<ById>): Promise<TaskInfo> {
    const { id } = request.params
    const info = isUuid(id) ? await backgroundTasks.status(id) : null
    if (info !== null && await authorize(request, info) === true) return info
    throw new FST_ERR_BGT_TASK_NOT_FOUND()
  }

  app.addHook('onRequest', (_request, reply, done) => {
    reply.header('cache-control', 'no-cache, private')
    done()
  })

  app.get<ById>('/:id', { schema: statusRoute, exposeHeadRoute: true }, async (request, reply) => {
    const info = await find(request)
    const body = viewOf(await expose(info, request))
    const etag = etagOf(body)
    const wait = retryAfter(info)
    reply.header('etag', etag)
    if (wait !== undefined) reply.header('retry-after', wait)
    return isFresh(request.headers['if-none-match'], etag) ? reply.code(304).send() : body
  })

  app.delete<ById>('/:id', { schema: cancelRoute }, async (request, reply) => {
    const { id: taskId } = await find(request)
    const state = await backgroundTasks.cancel(taskId)
    if (state === 'not-found') throw new FST_ERR_BGT_TASK_NOT_FOUND()
    if (state === 'finished') throw new FST_ERR_BGT_TASK_ENDED()
    return reply.code(state === 'cancelled' ? 200 : 202).send({ taskId, state })
  })
}

/** An error that Fastify sends has its fields on the prototype. */
function serialize (data: unknown): string {
  return data instanceof Error ? JSON.stringify(data, ['statusCode', 'code', 'error', 'message']) : JSON.stringify(data)
}

const plugin: FastifyPluginAsync<RoutesOptions> = fp(register, {
  fastify: '^5.2.2',
  name: 'fastify-background-tasks/routes',
  dependencies: ['fastify-background-tasks']
})

export { plugin as default, plugin as taskRoutes }
