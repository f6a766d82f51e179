import Fastify from 'fastify'
import t from 'tap'
import * as index from '../lib/index.ts'
import backgroundTasks from '../lib/index.ts'
import { makeApp } from './helpers/app.ts'

await t.test('the package exports the plugin, under two names, and what goes with it', t => {
  t.same(Object.keys(index).toSorted(), ['NonRetryableError', 'backgroundTasks', 'default', 'defineTask', 'startWorker'])
  t.equal(index.backgroundTasks, index.default)
  t.end()
})

await t.test('Fastify knows the plugin by its name', async t => {
  const app = await makeApp(t)
  t.ok(app.hasPlugin('fastify-background-tasks'))
})

await t.test('registering twice is refused', async t => {
  const app = await makeApp(t)
  await t.rejects(async () => { await app.register(backgroundTasks) }, { code: 'FST_ERR_BGT_ALREADY_REGISTERED' })
})

await t.test('registering again in a scope of an app that has it is refused', async t => {
  const app = await makeApp(t)
  await t.rejects(async () => { await app.register(async scope => { await scope.register(backgroundTasks) }) }, { code: 'FST_ERR_BGT_ALREADY_REGISTERED' })
})

await t.test('registered in a scope, only that scope has it', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(async scope => {
    await scope.register(backgroundTasks)
    scope.get('/inside', request => String(request.backgroundTasks.add(() => {}).state))
  })
  app.get('/outside', request => String('backgroundTasks' in request))
  t.equal((await app.inject('/inside')).body, 'pending')
  t.equal((await app.inject('/outside')).body, 'false')
  t.notOk(app.hasDecorator('backgroundTasks'))
})

await t.test('sibling scopes may each have their own', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  for (const prefix of ['/a', '/b']) {
    await app.register(async scope => {
      await scope.register(backgroundTasks)
      scope.get('/', request => {
        request.backgroundTasks.add(() => {})
        return String(scope.backgroundTasks.stats().added)
      })
    }, { prefix })
  }
  t.equal((await app.inject('/a')).body, '1')
  t.equal((await app.inject('/b')).body, '1')
})

await t.test('a scope has what its parent has', async t => {
  const app = await makeApp(t)
  await app.register((scope, _options, loaded) => {
    t.equal(scope.backgroundTasks, app.backgroundTasks)
    scope.get('/', request => String(request.backgroundTasks.add(() => {}).state))
    loaded()
  })
  t.equal((await app.inject('/')).body, 'pending')
  await app.backgroundTasks.idle()
  t.equal(app.backgroundTasks.stats().completed, 1)
})

await t.test('reading it in an onRequest hook that came first is a clear error', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  app.addHook('onRequest', (request, _reply, done) => {
    request.backgroundTasks.add(() => {})
    done()
  })
  await app.register(backgroundTasks)
  app.get('/', () => 'answered')
  const response = await app.inject('/')
  t.equal(response.statusCode, 500)
  t.match(response.json(), { code: 'FST_ERR_BGT_TOO_EARLY' })
})

await t.test('registered without await, it is there for whatever is registered after it', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  const ran: string[] = []
  void app.register(backgroundTasks)
  void app.register((scope, _options, loaded) => {
    scope.addHook('onRequest', (request, _reply, done) => {
      request.backgroundTasks.add(() => ran.push('hook'))
      done()
    })
    scope.get('/', request => {
      request.backgroundTasks.add(() => ran.push('handler'))
      return 'answered'
    })
    loaded()
  })
  t.equal((await app.inject('/')).statusCode, 200)
  await app.backgroundTasks.idle()
  t.same(ran, ['hook', 'handler'])
})
