import closeWithGrace from 'close-with-grace'
import Fastify from 'fastify'
import backgroundTasks from '../../../dist/lib/index.js'
import { port, ran, runEach, scenarios } from './scenarios.js'

const ways = {
  bare: () => () => {},

  plugin: app => {
    app.register(backgroundTasks)
    return (tasks, request) => {
      for (const task of tasks) request.backgroundTasks.add(task)
    }
  },

  setImmediate: () => tasks => {
    for (const task of tasks) setImmediate(runEach, [task])
  },

  onResponse: app => {
    app.decorateRequest('tasks', null)
    app.addHook('onResponse', async request => {
      if (request.tasks !== null) await runEach(request.tasks)
    })
    return (tasks, request) => { request.tasks = tasks }
  }
}

const app = Fastify({ logger: { level: 'warn' } })
const add = ways[process.env.WAY](app)
closeWithGrace({ delay: 20_000 }, async ({ err }) => {
  if (err) console.error(err)
  await app.close()
})

const schema = { response: { 200: { type: 'object', properties: { ok: { type: 'boolean' } } } } }
for (const [name, { tasks, finish }] of Object.entries(scenarios)) {
  app.post(`/${name}`, { schema }, async request => {
    add(tasks, request)
    return finish()
  })
}
app.get('/ran', async () => ran)
await app.listen({ port, host: '127.0.0.1' })
