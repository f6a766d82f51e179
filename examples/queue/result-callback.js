// A result callback, in Celery link=deliver.s(url): the result goes to a URL that the client has given. Telling
// it is a task of its own, so that an endpoint that is down is asked again, and the render is not done again.
import { createServer } from 'node:http'
import { Type } from '@sinclair/typebox'
import Fastify from 'fastify'
import backgroundTasks, { defineTask, NonRetryableError, startWorker } from 'fastify-background-tasks'
import { ended } from './ended.js'
import { openQueue } from './open-queue.js'

const render = defineTask({
  name: 'render',
  payload: Type.Object({ page: Type.String(), callback: Type.String() }),
  async run ({ page, callback }, { id }) {
    const result = { taskId: id, file: `${page}.pdf` }
    const { id: delivery } = await app.backgroundTasks.enqueue(deliver, { url: callback, result }, { key: id })
    return { ...result, delivery }
  }
})

const deliver = defineTask({
  name: 'deliver',
  payload: Type.Object({ url: Type.String(), result: Type.Unknown() }),
  retry: { attempts: 10, delay: 100 },
  async run ({ url, result }, { id, attempt, signal }) {
    const headers = { 'content-type': 'application/json', 'idempotency-key': id }
    const { ok, status } = await fetch(url, { method: 'POST', headers, body: JSON.stringify(result), signal })
    console.log(`delivery, attempt ${attempt}: ${status}`)
    if (status >= 400 && status < 500) throw new NonRetryableError(`the client answers ${status}`)
    if (!ok) throw new Error(`the client answers ${status}`)
  }
})

// The client. It is not well at first.
const received = []
const client = createServer(async (request, response) => {
  const body = JSON.parse(Buffer.concat(await request.toArray()).toString())
  response.writeHead(received.push(body) === 1 ? 503 : 204).end()
}).listen(0, '127.0.0.1')

const queue = await openQueue()
const app = Fastify()
await app.register(backgroundTasks, { adapter: queue.adapter, tasks: [render, deliver] })
await startWorker(app)

const callback = `http://127.0.0.1:${client.address().port}/rendered`
const { id } = await app.backgroundTasks.enqueue(render, { page: 'terms', callback })
const [{ result }] = await ended(app, [id])
await ended(app, [result.delivery])
console.log(`the client got ${received.at(-1).file}`)

await app.close()
client.close()
await queue.remove()
