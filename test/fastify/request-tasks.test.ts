import t from 'tap'
import type { TaskHandle } from '../../types/index.ts'
import { makeApp } from '../helpers/app.ts'
import { latch } from '../helpers/latch.ts'

const policies = ['success', 'error', 'always'] as const

await t.test('a handler that answers, whatever it answers, lets the tasks for success go', async t => {
  const app = await makeApp(t)
  const ran: string[] = []
  app.get('/', (request, reply) => {
    for (const when of policies) request.backgroundTasks.add({ when }, () => ran.push(when))
    return reply.code(500).send('answered')
  })
  await app.inject('/')
  await app.backgroundTasks.idle()
  t.same(ran, ['success', 'always'])
})

await t.test('a handler that throws lets the tasks for an error go', async t => {
  const app = await makeApp(t)
  const ran: string[] = []
  app.get('/', request => {
    for (const when of policies) request.backgroundTasks.add({ when }, () => ran.push(when))
    throw new Error('handler failed')
  })
  await app.inject('/')
  await app.backgroundTasks.idle()
  t.same(ran, ['error', 'always'])
})

await t.test('a task added after the response is over is judged by the same ending', async t => {
  const app = await makeApp(t)
  const late = latch<TaskHandle[]>()
  app.get('/', request => {
    request.backgroundTasks.add(() => late.open(policies.map(when => request.backgroundTasks.add({ when }, () => {}))))
    return 'answered'
  })
  await app.inject('/')
  const outcomes = await Promise.all((await late.opened).map(({ settled }) => settled))
  t.same(outcomes.map(({ state }) => state), ['completed', 'skipped', 'completed'])
})

await t.test('a task that was cancelled before the response is over is not skipped as well', async t => {
  const app = await makeApp(t)
  let handle: TaskHandle | undefined
  app.get('/', request => {
    handle = request.backgroundTasks.add({ when: 'error' }, () => {})
    handle.cancel()
    return 'answered'
  })
  await app.inject('/')
  t.hasStrict(await handle?.settled, { state: 'cancelled' })
  t.match(app.backgroundTasks.stats(), { added: 1, cancelled: 1, skipped: 0 })
})

await t.test('a request has one collector, wherever it is used', async t => {
  const app = await makeApp(t)
  const ran: string[] = []
  app.addHook('preHandler', (request, _reply, done) => {
    request.backgroundTasks.add(() => ran.push('preHandler'))
    done()
  })
  app.get('/', request => {
    t.equal(request.backgroundTasks, request.backgroundTasks)
    request.backgroundTasks.add(() => ran.push('handler'))
    return 'answered'
  })
  await app.inject('/')
  await app.backgroundTasks.idle()
  t.same(ran, ['preHandler', 'handler'])
})

await t.test('a request that only reads backgroundTasks leaves nothing behind', async t => {
  const app = await makeApp(t)
  app.get('/', request => typeof request.backgroundTasks.add)
  t.equal((await app.inject('/')).body, 'function')
  t.equal(app.backgroundTasks.stats().added, 0)
  await app.backgroundTasks.idle()
})
