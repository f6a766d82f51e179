// A server whose tasks wait, and that says how many requests are still in memory when it is asked. It is started by
// lib/server-process.js.
import { setImmediate } from 'node:timers/promises'
import Fastify from 'fastify'
import backgroundTasks from '../../dist/lib/index.js'

const { way } = JSON.parse(process.argv[2])
const app = Fastify()
await app.register(backgroundTasks, { concurrency: 1 })
app.backgroundTasks.add({ name: 'blocker', timeout: 0 }, () => new Promise(() => {}))

/** Apart from the handler, so that the closures of tasks see nothing of it but what they are given. */
const adds = {
  plugin: tasks => { tasks.add(() => {}) },
  // What shows that the count can find something.
  capturing: (tasks, request) => { tasks.add(() => request) }
}

const requests = []

app.post('/', async (request, reply) => {
  requests.push([request, reply, request.raw, reply.raw].map(object => new WeakRef(object)))
  adds[way](request.backgroundTasks, request)
  return { ok: true }
})
await app.listen({ port: 0, host: '127.0.0.1' })

process.on('message', async () => {
  for (let turn = 0; turn < 20; turn++) {
    await setImmediate()
    globalThis.gc()
  }
  const retained = requests.filter(refs => refs.some(ref => ref.deref() !== undefined)).length
  process.send({ answer: { requests: requests.length, pending: app.backgroundTasks.stats().pending, retained } })
})
process.send({ port: app.server.address().port })
