import type { FastifyError, FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest, HookHandlerDoneFunction } from 'fastify'
import fp from 'fastify-plugin'
import type { BackgroundTasksOptions, RequestBackgroundTasks } from '../types/index.ts'
import { FST_ERR_BGT_ALREADY_REGISTERED, FST_ERR_BGT_TOO_EARLY } from './errors.ts'
import { Service } from './fastify/app-tasks.ts'
import { manageLifespan } from './fastify/lifespan.ts'
import { Collector } from './fastify/request-tasks.ts'
import { watchResponse } from './fastify/response-end.ts'
import { kCollector, kErrored, kReply } from './fastify/symbols.ts'
import { Accounts } from './in-process/accounts.ts'
import { Dispatcher } from './in-process/dispatcher.ts'
import { Intake } from './in-process/intake.ts'
import { StatusBook } from './in-process/status-book.ts'
import { resolveOptions } from './options.ts'
import { Queue } from './queue/queue.ts'
import { Events } from './run/events.ts'
import { registerTasks } from './task/task.ts'

type Slots = FastifyRequest & { [kReply]?: FastifyReply, [kErrored]?: boolean, [kCollector]?: Collector }

async function register (app: FastifyInstance, given: BackgroundTasksOptions): Promise<void> {
  if (app.hasRequestDecorator('backgroundTasks')) throw new FST_ERR_BGT_ALREADY_REGISTERED()

  const options = resolveOptions({ ...given })
  const events = new Events(options.hooks)
  const accounts = new Accounts(events)
  const book = new StatusBook(options)
  const defaults = { when: options.when, timeout: options.timeout, retry: undefined, hooks: undefined, task: undefined }
  const registry = registerTasks(options.tasks, defaults, options.adapter)
  const queue = new Queue(registry, events, options)
  const dispatcher = new Dispatcher(accounts, events, options.concurrency, book, queue.escalation)
  const intake = new Intake(dispatcher, queue, registry, defaults, options)

  app.decorate('backgroundTasks', new Service(app, intake, queue, book))
  app.decorateRequest('backgroundTasks', {
    getter (this: Slots): RequestBackgroundTasks {
      return (this[kCollector] ??= collect(this, intake, options.abortGrace))
    }
  })
  app.addHook('onRequest', rememberReply)
  app.addHook('onError', rememberError)
  manageLifespan(app, dispatcher, queue, events, options)
}

function collect (request: Slots, intake: Intake, abortGrace: number): Collector {
  const reply = request[kReply]
  if (reply === undefined) throw new FST_ERR_BGT_TOO_EARLY()
  const collector = new Collector(intake, request)
  watchResponse(request, reply, collector, abortGrace)
  return collector
}

function rememberReply (request: Slots, reply: FastifyReply, done: HookHandlerDoneFunction): void {
  request[kReply] = reply
  done()
}

function rememberError (request: Slots, reply: FastifyReply, _error: FastifyError, done: () => void): void {
  request[kErrored] = true
  // Not known yet where an earlier plugin's onRequest hook threw.
  request[kReply] = reply
  done()
}

const plugin: FastifyPluginAsync<BackgroundTasksOptions> = fp(register, {
  fastify: '5.x',
  name: 'fastify-background-tasks'
})

export default plugin
