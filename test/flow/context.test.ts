import { AsyncLocalStorage } from 'node:async_hooks'
import { once } from 'node:events'
import { Agent, type IncomingMessage, request as makeRequest } from 'node:http'
import { text } from 'node:stream/consumers'
import { setImmediate, setTimeout } from 'node:timers/promises'
import requestContextPlugin, { requestContext } from '@fastify/request-context'
import type { FastifyRequest } from 'fastify'
import t, { type Test } from 'tap'
import type { TaskContext, TaskHooks } from '../../types/index.ts'
import { Flow } from '../helpers/flow.ts'
import { LogLines } from '../helpers/log-lines.ts'
import { get } from '../helpers/raw-client.ts'

declare module '@fastify/request-context' {
  interface RequestContextData {
    caller: string
  }
}

const REQUESTS = 30
const storage = new AsyncLocalStorage<string>()

/** Many requests over few connections, so that they share sockets, turns of the event loop and timers. */
async function requestMany (t: Test, flow: Flow): Promise<void> {
  const url = await flow.listen()
  const agent = new Agent({ keepAlive: true, maxSockets: 3 })
  t.teardown(() => agent.destroy())
  await Promise.all(Array.from({ length: REQUESTS }, async (_, n) => {
    const request = makeRequest(`${url}/${n}`, { agent, method: 'POST', headers: { 'content-type': 'application/json' } })
    const [response] = await once(request.end('{}'), 'response') as [IncomingMessage]
    await text(response)
  }))
  await flow.app.backgroundTasks.idle()
}

const hookNames = ['onTaskStart', 'onTaskCompleted', 'onTaskFailed', 'onTaskRetry', 'onTaskSkipped', 'onTaskLost'] as const

function hooksThat (see: (hook: string, name: string) => void): TaskHooks {
  return Object.fromEntries(hookNames.map(hook => [hook, ({ name }: { name: string }) => see(hook, name)]))
}

await t.test('tasks and hooks see what was stored at their add, and nothing else', async t => {
  const seen = new Map<string, Set<unknown>>()
  const see = (where: string, name: string): void => {
    const stores = seen.get(name) ?? new Set()
    seen.set(name, stores.add(`${where}: ${storage.getStore()}`))
  }
  const abortedIn: [name: string, store: unknown][] = []
  const flow = await Flow.make(t, { hooks: hooksThat(see), concurrency: 4 })
  flow.app.post('/:n', (request: FastifyRequest<{ Params: { n: string } }>) => {
    const { n } = request.params
    const { backgroundTasks } = request
    const watched = { hooks: hooksThat((hook, name) => see(`task's ${hook}`, name)) }
    const add = (name: string, run: (context: TaskContext) => unknown, options = {}): unknown =>
      backgroundTasks.add({ ...watched, ...options, name }, context => {
        see('start', name)
        return run(context)
      })
    storage.run(`${n} sync`, () => add(`${n} sync`, () => {}))
    storage.run(`${n} async`, () => add(`${n} async`, async () => {
      await setTimeout(1)
      see('later', `${n} async`)
      add(`${n} late`, () => {})
    }))
    storage.run(`${n} fails`, () => add(`${n} fails`, () => { throw new Error('expected') }, { retry: { attempts: 2, delay: 1 } }))
    storage.run(`${n} slow`, () => add(`${n} slow`, ({ signal }) => new Promise(() => {
      signal.addEventListener('abort', () => abortedIn.push([`${n} slow`, storage.getStore()]))
    }), { timeout: 1 }))
    storage.run(`${n} skipped`, () => add(`${n} skipped`, () => {}, { when: 'error' }))
    add(`${n} none`, () => {})
    // Asks for a turn of the event loop, in which tasks of other requests start too.
    storage.run('elsewhere', () => flow.app.backgroundTasks.add({ name: 'elsewhere' }, () => {}))
    return 'answer'
  })
  await requestMany(t, flow)
  seen.delete('elsewhere')
  t.equal(seen.size, REQUESTS * 7)
  t.equal(abortedIn.length, REQUESTS)
  t.strictSame(abortedIn.filter(([name, store]) => store !== undefined && store !== name), [], 'stores at an abort')
  const each = ['onTaskStart', "task's onTaskStart", 'start']
  const ends = (hook: string): string[] => [hook, `task's ${hook}`]
  const where: Record<string, string[]> = {
    sync: [...each, ...ends('onTaskCompleted')],
    async: [...each, 'later', ...ends('onTaskCompleted')],
    fails: [...each, ...ends('onTaskRetry'), ...ends('onTaskFailed')],
    slow: [...each, ...ends('onTaskFailed')],
    skipped: ends('onTaskSkipped'),
    none: [...each, ...ends('onTaskCompleted')],
    late: [...each, ...ends('onTaskCompleted')]
  }
  for (const [name, stores] of seen) {
    const [n, kind] = name.split(' ') as [string, string]
    const stored = { late: `${n} async`, none: undefined }[kind]
    t.strictSame([...stores].sort(), where[kind]!.map(place => `${place}: ${kind in { late: 1, none: 1 } ? stored : name}`).sort(), name)
  }
})

await t.test('@fastify/request-context', async t => {
  const flow = await Flow.make(t, { concurrency: 4 })
  await flow.app.register(requestContextPlugin)
  flow.app.addHook('onRequest', (request, _reply, done) => {
    requestContext.set('caller', request.url)
    request.backgroundTasks.add(see, request.url)
    done()
  })
  const seen: [string, string | undefined][] = []
  async function see (url: string): Promise<void> {
    await setImmediate()
    seen.push([url, requestContext.get('caller')])
  }
  flow.app.post('/:n', async request => {
    request.backgroundTasks.add(see, request.url)
    await setImmediate()
    request.backgroundTasks.add(see, request.url)
    return requestContext.get('caller')
  })
  await requestMany(t, flow)
  t.equal(seen.length, REQUESTS * 3)
  t.strictSame(seen.filter(([url, caller]) => url !== caller), [])
})

await t.test('log lines are written in the context of their task', async t => {
  const lines = new LogLines('debug')
  const mixin = (): object => ({ stored: storage.getStore() })
  const flow = await Flow.make(t, { abortGrace: 0 }, { logger: { ...lines.logger as object, mixin } })
  flow.app.get('/', async ({ backgroundTasks }) => {
    const add = (name: string, run: () => unknown, options = {}): unknown =>
      storage.run(name, () => backgroundTasks.add({ when: 'always', ...options, name }, run))
    add('completed', () => {})
    add('failed', () => { throw new Error('expected') }, { retry: { attempts: 2, delay: 0 } })
    add('timed out', () => new Promise(() => {}), { timeout: 1 })
    add('skipped', () => {}, { when: 'success' })
    await flow.untilGone()
  })
  await flow.abort(get('/'))
  await flow.app.backgroundTasks.idle()
  const { ofTasks } = lines
  t.strictSame(new Set(ofTasks.map(({ task }) => task)), new Set(['skipped', 'completed', 'failed', 'timed out']))
  t.strictSame(ofTasks.filter(({ task, stored }) => task !== stored), [])
})
