import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import type { BackgroundTasksOptions } from '../types/index.ts'
import { FST_ERR_BGT_ALREADY_REGISTERED } from './errors.ts'
import { AppTasks } from './fastify/app-tasks.ts'
import { decorateRequests } from './fastify/decorate-requests.ts'
import { manageLifespan } from './fastify/lifespan.ts'
import { RequestsUnderWay } from './fastify/requests-under-way.ts'
import { Accounts } from './in-process/accounts.ts'
import { Dispatcher } from './in-process/dispatcher.ts'
import { Escalation } from './in-process/escalation.ts'
import { Intake } from './in-process/intake.ts'
import { StatusBook } from './in-process/status-book.ts'
import { resolveOptions } from './options.ts'
import { Queue } from './queue/queue.ts'
import { Events } from './run/events.ts'
import { LoopWatch } from './run/loop-watch.ts'

async function register (app: FastifyInstance, given: BackgroundTasksOptions): Promise<void> {
  if (app.hasRequestDecorator('backgroundTasks')) throw new FST_ERR_BGT_ALREADY_REGISTERED()

  const options = resolveOptions({ ...given })
  const events = new Events(options.hooks)
  const loopWatch = new LoopWatch(events)
  const queue = new Queue(events, loopWatch, options)
  const book = new StatusBook(options)
  const accounts = new Accounts(events, book)
  const escalation = new Escalation(accounts, events, queue.producer, options.overflow)
  const dispatcher = new Dispatcher(accounts, escalation, book, events, loopWatch, options.concurrency)
  const intake = new Intake(dispatcher, escalation, options)
  const requests = new RequestsUnderWay()

  app.decorate('backgroundTasks', new AppTasks(app, intake, accounts, book, queue))
  decorateRequests(app, intake, queue, requests, options.abortGrace)
  manageLifespan(app, { accounts, dispatcher, escalation, events, queue, requests }, options)
}

const plugin: FastifyPluginAsync<BackgroundTasksOptions> = fp(register, {
  fastify: '^5.2.2',
  name: 'fastify-background-tasks'
})

export default plugin
