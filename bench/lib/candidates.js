import Fastify from 'fastify'
import backgroundTasks from '../../dist/lib/index.js'

/** Counts what ran, and is as asynchronous as a task can be that does nothing. */
export const ran = { tasks: 0 }

async function task (amount) {
  await null
  ran.tasks += amount
}

function failed (app, error) {
  app.log.error({ err: error }, 'task failed')
}

/** Each adds `count` tasks in the route's handler, in the way people do it. All isolate and log errors. */
const ways = {
  bare: () => ({}),

  plugin: (app, count) => {
    app.register(backgroundTasks, { maxPending: 1_000_000 })
    return {
      inHandler (request) {
        for (let i = 0; i < count; i++) request.backgroundTasks.add(task, 1)
      }
    }
  },

  setImmediate: (app, count) => ({
    inHandler () {
      for (let i = 0; i < count; i++) setImmediate(() => { task(1).catch(error => failed(app, error)) })
    }
  }),

  finish: (app, count) => ({
    inHandler (_request, reply) {
      reply.raw.setMaxListeners(0)
      for (let i = 0; i < count; i++) reply.raw.on('finish', () => { task(1).catch(error => failed(app, error)) })
    }
  }),

  onResponse: (app, count) => {
    app.decorateRequest('tasks', null)
    app.addHook('onResponse', async request => {
      if (request.tasks === null) return
      for (const run of request.tasks) {
        try {
          await run()
        } catch (error) {
          failed(app, error)
        }
      }
    })
    return {
      inHandler (request) {
        for (let i = 0; i < count; i++) (request.tasks ??= []).push(() => task(1))
      }
    }
  }
}

export const wayNames = Object.keys(ways)

/** @param {{ way: string, count: number, logger?: object | false }} candidate */
export function createApp ({ way, count, logger = false }) {
  const app = Fastify({ logger })
  const { inHandler } = ways[way](app, count)
  const answer = { ok: true }
  const schema = { response: { 200: { type: 'object', properties: { ok: { type: 'boolean' } } } } }

  const handler = inHandler === undefined || count === 0
    ? async () => answer
    : async (request, reply) => {
      inHandler(request, reply)
      return answer
    }
  app.get('/', { schema }, handler)
  app.post('/', { schema }, handler)
  return app
}
