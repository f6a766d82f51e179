import Fastify from 'fastify'
import t from 'tap'
import backgroundTasks from '../lib/index.ts'

await t.test('a task runs after the response', async t => {
  const app = Fastify()
  await app.register(backgroundTasks)
  app.get('/', request => {
    request.backgroundTasks.add(() => t.pass('ran'))
    return 'answered'
  })
  t.equal((await app.inject('/')).body, 'answered')
  await app.backgroundTasks.idle()
  await app.close()
})
