import Fastify, { type FastifyInstance, type FastifyPluginCallback } from 'fastify'
import fp from 'fastify-plugin'
import t, { type Test } from 'tap'
import backgroundTasks from '../../lib/index.ts'
import { makeApp } from '../helpers/app.ts'
import { latch } from '../helpers/latch.ts'
import { LogLines } from '../helpers/log-lines.ts'
import { fakeTimers, turns } from '../helpers/timers.ts'

const local = { host: '127.0.0.1', port: 0 }

await t.test('onStartup gets the app and ends before the server listens', async t => {
  const events: unknown[] = []
  const app: FastifyInstance = await makeApp(t, {
    hooks: {
      async onStartup (given) {
        await turns()
        events.push(given === app, app.server.listening)
      }
    }
  })
  t.same(events, [])
  await app.listen(local)
  events.push(app.server.listening)
  t.same(events, [true, false, true])
})

await t.test('onStartup may be synchronous, and may add tasks', async t => {
  const ran: string[] = []
  const app: FastifyInstance = await makeApp(t, { hooks: { onStartup: app => app.backgroundTasks.add(() => ran.push('warm up')) } })
  await app.ready()
  await app.backgroundTasks.idle()
  t.same(ran, ['warm up'])
})

for (const [what, onStartup] of [
  ['throws', () => { throw new Error('no database') }],
  ['rejects', () => Promise.reject(new Error('no database'))]
] as const) {
  await t.test(`an onStartup that ${what} keeps the server from starting, and onShutdown from being called`, async t => {
    const app = await makeApp(t, { hooks: { onStartup, onShutdown: () => t.fail('was called') } })
    await t.rejects(app.listen(local), { message: 'no database' })
    t.notOk(app.server.listening)
    await app.close()
  })
}

await t.test('close() before ready drains, and calls neither onStartup nor onShutdown', async t => {
  const app = await makeApp(t, { hooks: { onStartup: () => t.fail('started'), onShutdown: () => t.fail('shut down') } })
  const handle = app.backgroundTasks.add(() => turns())
  await app.close()
  t.equal(handle.state, 'completed')
})

await t.test('onShutdown gets the app, once the server is closed and the last task has ended', async t => {
  const events: unknown[] = []
  const app: FastifyInstance = await makeApp(t, {
    hooks: {
      async onShutdown (given) {
        events.push(given === app, app.server.listening, app.backgroundTasks.stats().running)
        await turns()
        events.push('shut down')
      }
    }
  })
  await app.listen(local)
  app.backgroundTasks.add(async () => {
    await turns(20)
    events.push('task')
  })
  await app.close()
  t.same(events, ['task', true, false, 0, 'shut down'])
})

for (const [what, onShutdown] of [
  ['throws', () => { throw new Error('disk full') }],
  ['rejects', () => Promise.reject(new Error('disk full'))]
] as const) {
  await t.test(`an onShutdown that ${what} is logged, and closing goes on`, async t => {
    const lines = new LogLines('error')
    const app = await makeApp(t, { hooks: { onShutdown } }, { logger: lines.logger })
    let closed = false
    app.addHook('onClose', (_app, done) => {
      closed = true
      done()
    })
    await app.ready()
    await app.close()
    t.ok(closed)
    t.match(lines.ofTasks, [{ level: 50, msg: 'background task hook failed', hook: 'onShutdown', err: { message: 'disk full' } }])
  })
}

await t.test('close() resolves with a logger that throws at every line', async t => {
  const throws = (): never => { throw new Error('no room on the disk') }
  const never = latch()
  const app = await makeApp(t, { drainTimeout: 0, hooks: { onShutdown: throws } })
  await app.ready()
  for (const method of ['info', 'warn', 'error'] as const) app.log[method] = throws
  const { settled } = app.backgroundTasks.add(() => never.opened)
  await app.close()
  t.hasStrict(await settled, { state: 'lost' })
  never.open()
})

await t.test('a second close() waits for the first, and onShutdown is called once', async t => {
  let calls = 0
  const app = await makeApp(t, { hooks: { onShutdown: () => { calls++ } } })
  await app.ready()
  const free = latch()
  const handle = app.backgroundTasks.add(() => free.opened)
  const closed = [app.close(), app.close()]
  await turns(20)
  t.equal(handle.state, 'running')
  free.open()
  await Promise.all(closed)
  await app.close()
  t.equal(handle.state, 'completed')
  t.equal(calls, 1)
})

/** A plugin with a resource that tasks use. */
function resource (name: string, events: string[]): FastifyPluginCallback {
  return (app, _options, loaded) => {
    app.addHook('onClose', (_app, done) => {
      events.push(`${name} closed`)
      done()
    })
    loaded()
  }
}

type Order = (app: FastifyInstance, register: () => Promise<void>, events: string[]) => Promise<void>

const orders: [what: string, order: Order][] = [
  ['first', async (app, register, events) => {
    await register()
    await app.register(fp(resource('plugin', events)))
    await app.register(resource('scope', events))
    await app.register(async scope => { await scope.register(resource('inner scope', events)) })
  }],
  ['last', async (app, register, events) => {
    await app.register(fp(resource('plugin', events)))
    await app.register(resource('scope', events))
    await app.register(async scope => { await scope.register(resource('inner scope', events)) })
    await register()
  }],
  ['between the others, and all without await', (app, register, events) => {
    void app.register(fp(resource('plugin', events)))
    void register()
    void app.register(resource('scope', events))
    void app.register(async scope => { await scope.register(resource('inner scope', events)) })
    return Promise.resolve()
  }]
]

async function closeInOrder (t: Test, order: Order): Promise<string[]> {
  const events: string[] = []
  const app = Fastify()
  t.teardown(() => app.close())
  await order(app, async () => {
    await app.register(backgroundTasks, { hooks: { onShutdown: () => { events.push('shut down') } } })
  }, events)
  await app.ready()
  for (let n = 0; n < 2; n++) {
    app.backgroundTasks.add(async () => {
      await turns(20)
      events.push('task')
    })
  }
  await app.close()
  return events
}

for (const [what, order] of orders) {
  await t.test(`registered ${what}, tasks end and onShutdown is called before any other plugin closes`, async t => {
    const events = await closeInOrder(t, order)
    t.same(events.slice(0, 3), ['task', 'task', 'shut down'])
    t.same(events.slice(3).toSorted(), ['inner scope closed', 'plugin closed', 'scope closed'])
  })
}

await t.test('registered in a scope, it drains before the plugins of its parent close', async t => {
  const events: string[] = []
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(async scope => {
    await scope.register(backgroundTasks)
    await scope.register(resource('inner', events))
    scope.backgroundTasks.add(async () => {
      await turns(20)
      events.push('task')
    })
  })
  await app.register(resource('outer', events))
  await app.ready()
  await app.close()
  t.same(events[0], 'task')
  t.same(events.length, 3)
})

await t.test('without avvio\'s onClose at runtime it still drains, as an ordinary plugin does', async t => {
  const events: string[] = []
  const app = Fastify()
  t.teardown(() => app.close())
  app.addHook('preClose', done => {
    Object.assign(app, { onClose: undefined })
    done()
  })
  await app.register(resource('earlier', events))
  await app.register(backgroundTasks, { hooks: { onShutdown: () => { events.push('shut down') } } })
  await app.ready()
  app.backgroundTasks.add(async () => {
    await turns(20)
    events.push('task')
  })
  await app.close()
  t.same(events.filter(event => event !== 'earlier closed'), ['task', 'shut down'])
  t.equal(app.backgroundTasks.stats().completed, 1)
})

await t.test('a drain may take longer than pluginTimeout', async t => {
  const timers = fakeTimers(t)
  const app = await makeApp(t, { drainTimeout: 60_000 }, { pluginTimeout: 1_000 })
  await app.ready()
  const free = latch()
  const handle = app.backgroundTasks.add({ timeout: 0 }, () => free.opened)
  const closed = app.close()
  for (let second = 0; second < 50; second++) {
    await turns()
    timers.tick(1_000)
  }
  t.equal(handle.state, 'running')
  free.open()
  await closed
  t.hasStrict(await handle.settled, { state: 'completed' })
})
