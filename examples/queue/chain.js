// A chain, in Celery chain(download.s(url), resize.s(200), publish.s()): each task enqueues the next one.
import { Type } from '@sinclair/typebox'
import Fastify from 'fastify'
import backgroundTasks, { defineTask, startWorker } from 'fastify-background-tasks'
import { ended } from './ended.js'
import { openQueue } from './open-queue.js'

const download = defineTask({
  name: 'download',
  payload: Type.Object({ url: Type.String() }),
  async run ({ url }, { id }) {
    const file = url.slice(url.lastIndexOf('/') + 1)
    // A job may run twice. The key sees to it that there is one job after it all the same.
    const next = await app.backgroundTasks.enqueue(resize, { file, width: 200 }, { key: id })
    return { file, next: next.id }
  }
})

const resize = defineTask({
  name: 'resize',
  payload: Type.Object({ file: Type.String(), width: Type.Integer() }),
  async run ({ file, width }, { id }) {
    const image = `${width}-${file}`
    const next = await app.backgroundTasks.enqueue(publish, { image }, { key: id })
    return { image, next: next.id }
  }
})

const publish = defineTask({
  name: 'publish',
  payload: Type.Object({ image: Type.String() }),
  run: ({ image }) => ({ url: `https://images.example.org/${image}` })
})

const queue = await openQueue()
const app = Fastify()
await app.register(backgroundTasks, { adapter: queue.adapter, tasks: [download, resize, publish] })
await startWorker(app)

let { id } = await app.backgroundTasks.enqueue(download, { url: 'https://example.org/cat.png' })
while (id !== undefined) {
  const [{ task, state, result: { next, ...result } }] = await ended(app, [id])
  console.log(`${task} ${state}: ${JSON.stringify(result)}`)
  id = next
}

await app.close()
await queue.remove()
