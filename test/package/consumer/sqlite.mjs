// With a driver installed: a task goes through the queue of a file, and its worker.
import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import Fastify from 'fastify'
import backgroundTasks, { defineTask, startWorker } from 'fastify-background-tasks'
import { sqlite } from 'fastify-background-tasks/sqlite'

const ran = new EventEmitter()
const hello = defineTask({ name: 'hello', run: () => ran.emit('hello') })

const app = Fastify()
await app.register(backgroundTasks, { adapter: sqlite({ file: 'queue.db' }), tasks: [hello] })
app.post('/', request => request.backgroundTasks.enqueue(hello))
const { id } = (await app.inject({ method: 'POST', url: '/' })).json()
assert.equal((await app.backgroundTasks.status(id)).state, 'pending')
await app.close()

const worker = Fastify()
await worker.register(backgroundTasks, { adapter: sqlite({ file: 'queue.db' }), tasks: [hello] })
const done = once(ran, 'hello')
await startWorker(worker)
await done
await worker.close()
