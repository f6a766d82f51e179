import fastq from 'fastq'
import pLimit from 'p-limit'
import PQueue from 'p-queue'
import backgroundTasks from '../../dist/lib/index.js'

/**
 * How a route's handler leaves its tasks behind. Each way gets the application, how many tasks may run at
 * once (where it knows such a thing) and what bounds it, and answers with what the handler calls.
 */
export const ways = {
  /** The same route without tasks. */
  bare: () => () => {},

  plugin (app, { concurrency, maxPending }) {
    app.register(backgroundTasks, { concurrency, maxPending, overflow: 'drop', timeout: 0 })
    return (request, _reply, task, count) => {
      for (let i = 0; i < count; i++) request.backgroundTasks.add(task)
    }
  },

  setImmediate: app => (_request, _reply, task, count) => {
    for (let i = 0; i < count; i++) setImmediate(() => { isolated(app, task) })
  },

  finish: app => (_request, reply, task, count) => {
    reply.raw.on('finish', () => {
      for (let i = 0; i < count; i++) isolated(app, task)
    })
  },

  onResponse (app) {
    app.decorateRequest('tasks', null)
    app.addHook('onResponse', async request => {
      for (const task of request.tasks ?? []) await isolated(app, task)
    })
    return (request, _reply, task, count) => { request.tasks = Array(count).fill(task) }
  },

  'p-limit' (app, { concurrency }) {
    const limit = pLimit(concurrency)
    return afterwards(app, task => limit(task))
  },

  'p-queue' (app, { concurrency }) {
    const queue = new PQueue({ concurrency })
    return afterwards(app, task => queue.add(task))
  },

  fastq (app, { concurrency }) {
    const queue = fastq.promise(task => task(), concurrency)
    return afterwards(app, task => queue.push(task))
  },

  /** No background task at all: the answer waits for the work. Its throughput is the capacity. */
  inline: app => async (_request, _reply, task, count) => {
    for (let i = 0; i < count; i++) await isolated(app, task)
  }
}

function afterwards (app, enqueue) {
  return (_request, reply, task, count) => {
    reply.raw.on('finish', () => {
      for (let i = 0; i < count; i++) isolated(app, () => enqueue(task))
    })
  }
}

async function isolated (app, task) {
  try {
    await task()
  } catch (error) {
    app.log.error({ err: error }, 'task failed')
  }
}
