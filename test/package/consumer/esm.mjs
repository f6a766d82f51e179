import assert from 'node:assert/strict'
import Fastify from 'fastify'
import backgroundTasks, { backgroundTasks as named, defineTask } from 'fastify-background-tasks'

assert.equal(backgroundTasks, named)
const ran = []
const note = defineTask({ name: 'note', run () { ran.push('task') } })
const app = Fastify()
await app.register(backgroundTasks, { tasks: [note] })
app.get('/', request => {
  request.backgroundTasks.add(text => ran.push(text), 'function')
  request.backgroundTasks.add(note)
  return 'answered'
})
const url = await app.listen({ host: '127.0.0.1', port: 0 })
assert.equal(await (await fetch(url)).text(), 'answered')
await app.close()
assert.deepEqual(ran, ['function', 'task'])
assert.equal(app.backgroundTasks.stats().completed, 2)
