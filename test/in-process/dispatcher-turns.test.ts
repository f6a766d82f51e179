import { AsyncLocalStorage } from 'node:async_hooks'
import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import { makeApp } from '../helpers/app.ts'
import { latch } from '../helpers/latch.ts'
import { LogLines } from '../helpers/log-lines.ts'

function block (ms: number): void {
  const end = performance.now() + ms
  while (performance.now() < end);
}

await t.test('a task does not start in the turn of the event loop that added it', async t => {
  const app = await makeApp(t)
  let ran = false
  app.backgroundTasks.add(() => { ran = true })
  t.equal(ran, false)
  await Promise.resolve()
  await new Promise<void>(resolve => process.nextTick(resolve))
  t.equal(ran, false)
  await setImmediate()
  t.equal(ran, true)
})

await t.test('a task does not start while its handler goes on after reply.send', async t => {
  const app = await makeApp(t)
  let ran = false
  const seen: boolean[] = []
  app.get('/', async (request, reply) => {
    request.backgroundTasks.add(() => { ran = true })
    reply.send('answered')
    seen.push(ran)
    await Promise.resolve()
    seen.push(ran)
  })
  await app.inject('/')
  await app.backgroundTasks.idle()
  t.same(seen, [false, false])
  t.equal(ran, true)
})

await t.test('whoever waits for the event loop gets it after each task that used its turn up', async t => {
  const app = await makeApp(t)
  const order: string[] = []
  app.get('/', request => {
    for (let n = 0; n < 20; n++) request.backgroundTasks.add(() => { block(2); order.push('task') })
    return 'answered'
  })
  for (let n = 0; n < 20; n++) app.backgroundTasks.add(() => { block(2); order.push('task') })
  await app.inject('/')
  while (order.filter(what => what === 'task').length < 40) {
    await setImmediate()
    order.push('other')
  }
  t.notMatch(order.join(' '), 'task task')
})

await t.test('a request is answered while synchronous tasks are waiting', async t => {
  const app = await makeApp(t)
  app.get('/', () => 'answered')
  await app.ready()
  for (let n = 0; n < 200; n++) app.backgroundTasks.add(() => block(2))
  t.equal((await app.inject('/')).body, 'answered')
  t.ok(app.backgroundTasks.stats().pending > 100)
  await app.backgroundTasks.idle()
})

await t.test('a task that kept the event loop for more than 100 ms is named in a warning', async t => {
  const lines = new LogLines('warn')
  const app = await makeApp(t, {}, { logger: lines.logger })
  const handle = app.backgroundTasks.add({ name: 'cruncher' }, () => block(110))
  await app.backgroundTasks.idle()
  await setImmediate()
  t.match(lines.ofTasks, [{ level: 40, msg: 'background task blocked the event loop', task: 'cruncher', taskId: handle.id, attempt: 1 }])
  t.equal(lines.ofTasks.length, 1)
  t.ok(lines.ofTasks[0]!['blocked'] as number >= 110)
})

await t.test('a logger that throws at that warning costs no later task', async t => {
  const app = await makeApp(t, {}, {
    logger: { level: 'warn', stream: { write () { throw new Error('disk full') } } }
  })
  const warned = latch<Error>()
  process.once('warning', warned.open)
  app.backgroundTasks.add({ name: 'cruncher' }, () => block(110))
  const handle = app.backgroundTasks.add(() => 'done')
  t.hasStrict(await handle.settled, { state: 'completed', result: 'done' })
  t.match(await warned.opened, { name: 'FastifyBackgroundTasksWarning', message: 'cruncher' })
})

await t.test('a task runs in the AsyncLocalStorage context of its add, sync and async, at each attempt', async t => {
  const storage = new AsyncLocalStorage<string>()
  const app = await makeApp(t)
  const seen: unknown[] = []
  app.get('/:name', request => storage.run((request.params as { name: string }).name, () => {
    request.backgroundTasks.add(() => { seen.push(storage.getStore()) })
    request.backgroundTasks.add({ retry: { attempts: 2, delay: 0 } }, async ({ attempt }) => {
      seen.push(`${storage.getStore()} ${attempt}`)
      await setImmediate()
      seen.push(`${storage.getStore()} ${attempt}`)
      if (attempt === 1) throw new Error('again')
    })
    return 'answered'
  }))
  app.addHook('onSend', async () => {})
  await app.inject('/a')
  await app.backgroundTasks.idle()
  t.same(seen, ['a', 'a 1', 'a 1', 'a 2', 'a 2'])
})

await t.test('a task added without a context does not run in that of the request before', async t => {
  const storage = new AsyncLocalStorage<string>()
  const app = await makeApp(t)
  const seen: unknown[] = []
  storage.run('request', () => app.backgroundTasks.add(() => { seen.push(storage.getStore()) }))
  app.backgroundTasks.add(() => { seen.push(storage.getStore()) })
  await app.backgroundTasks.idle()
  t.same(seen, ['request', undefined])
})

await t.test('the timeout of a task does not come in the context of a request that ran beside it', async t => {
  const storage = new AsyncLocalStorage<string>()
  const app = await makeApp(t)
  const seen = latch<unknown>()
  storage.run('request', () => app.backgroundTasks.add(() => {}))
  app.backgroundTasks.add({ timeout: 1 }, ({ signal }) => new Promise<void>(resolve => {
    signal.onabort = () => {
      seen.open(storage.getStore())
      resolve()
    }
  }))
  t.equal(await seen.opened, undefined)
})
