import Fastify from 'fastify'
import backgroundTasks, { defineTask, type TaskHandle } from 'fastify-background-tasks'

const note = defineTask({ name: 'note', retry: { attempts: 2 }, run (_payload, { signal }) { signal.throwIfAborted() } })
const app = Fastify()
app.register(backgroundTasks, { tasks: [note], concurrency: 10 })
app.get('/', request => {
  const handle: TaskHandle = request.backgroundTasks.add(note)
  request.backgroundTasks.add((text: string) => text, 'function')
  // @ts-expect-error the function takes a string
  request.backgroundTasks.add((text: string) => text, 1)
  return handle.id
})
