import { AsyncLocalStorage } from 'node:async_hooks'
import { setImmediate } from 'node:timers/promises'
import { Type } from '@sinclair/typebox'
import t from 'tap'
import { memory } from '../../lib/adapters/memory/index.ts'
import { defineTask } from '../../lib/index.ts'
import type { TaskEvent, TaskHooks } from '../../types/index.ts'
import { makeApp } from '../helpers/app.ts'
import { latch } from '../helpers/latch.ts'
import { LogLines } from '../helpers/log-lines.ts'

const names = [
  'onTaskStart', 'onTaskRetry', 'onTaskCompleted', 'onTaskFailed', 'onTaskSkipped', 'onTaskCancelled', 'onTaskEscalated', 'onTaskLost'
] as const
const retryOnce = { attempts: 2, delay: 0 }

type Told = [hook: keyof TaskHooks, event: TaskEvent & Record<string, unknown>]

/** All hooks, each telling `tell` of its call. */
function every (tell: (...told: Told) => unknown): TaskHooks {
  return Object.fromEntries(names.map(name => [name, (event: Told[1]) => tell(name, event)]))
}

function failAt (attempts: number): (context: { attempt: number }) => string {
  return ({ attempt }) => {
    if (attempt <= attempts) throw new Error(`failure ${attempt}`)
    return 'done'
  }
}

await t.test('each step of a task calls its hook', async t => {
  const told: Told[] = []
  const app = await makeApp(t, { hooks: every((...args) => told.push(args)) })
  const calls = (): unknown[] => told.splice(0).map(([hook, { attempt }]) => `${hook} ${attempt}`)

  await app.backgroundTasks.add(() => {}).settled
  t.same(calls(), ['onTaskStart 1', 'onTaskCompleted 1'])
  await app.backgroundTasks.add({ retry: retryOnce }, failAt(1)).settled
  t.same(calls(), ['onTaskStart 1', 'onTaskRetry 1', 'onTaskStart 2', 'onTaskCompleted 2'])
  await app.backgroundTasks.add({ retry: retryOnce }, failAt(2)).settled
  t.same(calls(), ['onTaskStart 1', 'onTaskRetry 1', 'onTaskStart 2', 'onTaskFailed 2'])
  app.backgroundTasks.add(() => {}).cancel()
  t.same(calls(), ['onTaskCancelled 0'])
  await app.close()
  app.backgroundTasks.add(() => {})
  t.same(calls(), ['onTaskLost 0'])
})

await t.test('a skipped task calls its hook with the ending of the request', async t => {
  const told: Told[] = []
  const app = await makeApp(t, { hooks: every((...args) => told.push(args)) })
  app.get('/', request => {
    request.backgroundTasks.add({ name: 'for errors', when: 'error' }, () => {})
    return 'answered'
  })
  await app.inject('/')
  t.match(told, [['onTaskSkipped', { name: 'for errors', attempt: 0, reason: 'answered' }]])
  t.equal(told.length, 1)
})

const common = ['id', 'name', 'attempt', 'requestId', 'log', 'payload']
const fields: Record<keyof TaskHooks, string[]> = {
  onTaskStart: common,
  onTaskCompleted: [...common, 'result', 'duration'],
  onTaskFailed: [...common, 'error', 'duration'],
  onTaskRetry: [...common, 'error', 'delay'],
  onTaskSkipped: [...common, 'reason'],
  onTaskCancelled: [...common, 'reason', 'error', 'duration'],
  onTaskEscalated: common,
  onTaskLost: [...common, 'reason', 'error']
}

await t.test('an event has the fields of its type, and no others', async t => {
  const seen = new Map<string, string[]>()
  const started = latch()
  const escalating = defineTask({ name: 'escalating', escalate: ['failure'], run: () => Promise.reject(new Error('failed')) })
  const hooks = every((hook, event) => seen.set(hook, Object.keys(event).sort()))
  const app = await makeApp(t, { hooks, tasks: [escalating], adapter: memory() })
  app.get('/', request => {
    request.backgroundTasks.add({ when: 'error' }, () => {})
    request.backgroundTasks.add({ retry: retryOnce }, failAt(1))
    request.backgroundTasks.add(() => Promise.reject(new Error('failed')))
    return 'answered'
  })
  await app.ready()
  app.backgroundTasks.add(escalating)
  const running = app.backgroundTasks.add({}, ({ signal }) => new Promise((_resolve, reject) => {
    signal.onabort = () => reject(signal.reason as Error)
    started.open()
  }))
  await started.opened
  running.cancel()
  await app.inject('/')
  await app.backgroundTasks.idle()
  await app.close()
  app.backgroundTasks.add(() => {})
  for (const name of names) t.same(seen.get(name), fields[name].toSorted(), name)
})

await t.test('an event tells about the task and its request', async t => {
  const task = defineTask({ name: 'mail', payload: Type.Object({ to: Type.String() }), retry: retryOnce, run: (_payload, context) => failAt(1)(context) })
  const told: Told[] = []
  const app = await makeApp(t, { tasks: [task], hooks: every((...args) => told.push(args)) })
  const payload = { to: 'ada' }
  const added = latch<object>()
  app.get('/', request => {
    const { id } = request.backgroundTasks.add(task, payload)
    added.open({ id, name: 'mail', requestId: request.id, log: request.log })
    return 'answered'
  })
  await app.inject('/')
  await app.backgroundTasks.idle()
  const expected = await added.opened
  for (const [, event] of told) {
    t.match(event, expected)
    t.equal(event.payload, payload)
  }
  const details = told.map(([hook, { attempt, error, result, delay }]) => [hook, attempt, (error as Error | undefined)?.message ?? result, delay])
  t.same(details, [
    ['onTaskStart', 1, undefined, undefined],
    ['onTaskRetry', 1, 'failure 1', 0],
    ['onTaskStart', 2, undefined, undefined],
    ['onTaskCompleted', 2, 'done', undefined]
  ])
  t.ok(told.at(-1)![1]['duration'] as number >= 0)
})

await t.test('outside of a request an event has the logger of the app, and a plain function no payload', async t => {
  const told: Told[] = []
  const app = await makeApp(t, { hooks: { onTaskStart: event => told.push(['onTaskStart', event as Told[1]]) } })
  await app.backgroundTasks.add((secret: string) => secret, 'argument').settled
  const [, { requestId, payload, log }] = told[0]!
  t.same([requestId, payload], [undefined, undefined])
  t.equal(log, app.log)
})

await t.test('the duration is that of the last attempt', async t => {
  let duration = -1
  const app = await makeApp(t, { hooks: { onTaskCompleted: event => { duration = event.duration } } })
  let measured = 0
  const before = performance.now()
  await app.backgroundTasks.add(async () => {
    const start = performance.now()
    for (let n = 0; n < 5; n++) await setImmediate()
    measured = performance.now() - start
  }).settled
  t.ok(duration >= measured, `${duration} ${measured}`)
  t.ok(duration <= performance.now() - before, 'not counted from the start of the process')
})

await t.test('the plugin\'s hooks come first, then the task\'s', async t => {
  const calls: string[] = []
  const hooksOf = (owner: string): TaskHooks => every(hook => calls.push(`${owner} ${hook}`))
  const task = defineTask({ name: 'mail', hooks: hooksOf('task'), run () {} })
  const app = await makeApp(t, { tasks: [task], hooks: hooksOf('plugin') })
  await app.backgroundTasks.add(task).settled
  t.same(calls.splice(0), ['plugin onTaskStart', 'task onTaskStart', 'plugin onTaskCompleted', 'task onTaskCompleted'])
  await app.backgroundTasks.add({ hooks: hooksOf('add') }, () => {}).settled
  t.same(calls.splice(0), ['plugin onTaskStart', 'add onTaskStart', 'plugin onTaskCompleted', 'add onTaskCompleted'])
})

await t.test('a task may have hooks where the plugin has none', async t => {
  const calls: string[] = []
  const app = await makeApp(t)
  await app.backgroundTasks.add({ hooks: { onTaskCompleted: ({ name }) => calls.push(name) } }, function mail () {}).settled
  t.same(calls, ['mail'])
})

await t.test('a hook that is asynchronous holds nothing up', async t => {
  const free = latch()
  const app = await makeApp(t, { hooks: every(() => free.opened) })
  t.hasStrict(await app.backgroundTasks.add(() => 'done').settled, { state: 'completed' })
  await app.backgroundTasks.idle()
  free.open()
})

await t.test('hooks run in the async context of the add', async t => {
  const storage = new AsyncLocalStorage<string>()
  const seen: unknown[] = []
  const app = await makeApp(t, { hooks: every(hook => seen.push(`${hook} ${storage.getStore()}`)) })
  const add = (): Promise<unknown> => app.backgroundTasks.add({ retry: retryOnce }, context => Promise.resolve(context).then(failAt(2))).settled
  await storage.run('mine', add)
  t.same(seen, ['onTaskStart mine', 'onTaskRetry mine', 'onTaskStart mine', 'onTaskFailed mine'])
})

const boom = new Error('boom')
const faults: [what: string, hook: () => unknown][] = [
  ['throws', () => { throw boom }],
  ['rejects', () => Promise.reject(boom)],
  ['rejects late', () => setImmediate().then(() => { throw boom })],
  ['returns a thenable that throws', () => ({ then () { throw boom } })],
  ['returns a thenable that cannot be read', () => ({ get then () { throw boom } })]
]

for (const [what, hook] of faults) {
  await t.test(`a hook that ${what} is logged, and changes nothing`, async t => {
    const lines = new LogLines('error')
    const told: string[] = []
    const task = defineTask({ name: 'mail', hooks: every(name => told.push(name)), run: () => 'sent' })
    const app = await makeApp(t, { tasks: [task], hooks: every(hook) }, { logger: lines.logger })
    const handle = app.backgroundTasks.add(task)
    t.hasStrict(await handle.settled, { state: 'completed', result: 'sent' })
    await app.close()
    t.same(told, ['onTaskStart', 'onTaskCompleted'])
    const line = { level: 50, msg: 'background task hook failed', task: 'mail', taskId: handle.id, attempt: 1, err: { message: 'boom' } }
    t.match(lines.ofTasks, [{ ...line, hook: 'onTaskStart' }, { ...line, hook: 'onTaskCompleted' }])
    t.equal(lines.ofTasks.length, 2)
    t.match(app.backgroundTasks.stats(), { added: 1, completed: 1 })
  })
}

await t.test('what a hook throws that is not an Error becomes one in the log', async t => {
  const lines = new LogLines('error')
  const app = await makeApp(t, { hooks: { onTaskStart () { throw 'text' } } }, { logger: lines.logger }) // eslint-disable-line @typescript-eslint/only-throw-error
  await app.backgroundTasks.add(() => {}).settled
  t.match(lines.ofTasks, [{ hook: 'onTaskStart', err: { code: 'FST_ERR_BGT_NON_ERROR' } }])
})

await t.test('a hook may add tasks', async t => {
  const ran: string[] = []
  const app = await makeApp(t, {
    hooks: {
      onTaskFailed ({ name }) {
        app.backgroundTasks.add({ name: `after ${name}` }, context => ran.push(context.name))
      }
    }
  })
  app.backgroundTasks.add(function mail () { throw boom })
  await app.backgroundTasks.idle()
  t.same(ran, ['after mail'])
})

const again: [how: string, wait: () => unknown][] = [
  ['at once', () => {}],
  ['later', () => setImmediate()]
]

for (const [how, wait] of again) {
  await t.test(`an onTaskLost that adds the task again ${how}, after the end, gets an error, and ends`, async t => {
    const lines = new LogLines('error')
    const lost: string[] = []
    const never = latch()
    const app = await makeApp(t, {
      drainTimeout: 0,
      concurrency: 1,
      hooks: {
        onTaskLost: ({ name, reason }) => {
          lost.push(`${name} ${reason}`)
          const addAgain = (): unknown => app.backgroundTasks.add({ name: 'again' }, () => {})
          return how === 'at once' ? addAgain() : Promise.resolve(wait()).then(addAgain)
        }
      }
    }, { logger: lines.logger })
    app.backgroundTasks.add({ name: 'runs' }, () => never.opened)
    await setImmediate()
    app.backgroundTasks.add({ name: 'waits' }, () => {})
    await app.close()
    app.backgroundTasks.add({ name: 'late' }, () => {})
    await setImmediate()
    await setImmediate()
    t.same(lost, ['waits shutdown', 'runs shutdown', 'late closed'])
    const failed = lines.ofTasks.filter(({ msg }) => msg === 'background task hook failed')
    t.match(failed, [1, 2, 3].map(() => ({ hook: 'onTaskLost', err: { code: 'FST_ERR_BGT_CLOSED' } })))
    t.match(app.backgroundTasks.stats(), { added: 3, lost: 3, pending: 0, running: 0 })
    never.open()
  })

  await t.test(`an onTaskLost that adds the task again ${how}, where there is no room, gets an error, and ends`, async t => {
    const lines = new LogLines('error')
    let lost = 0
    const never = latch()
    const app = await makeApp(t, {
      concurrency: 1,
      maxPending: 1,
      overflow: 'drop',
      hooks: {
        onTaskLost: () => {
          lost++
          const addAgain = (): unknown => app.backgroundTasks.add({ name: 'again' }, () => {})
          return how === 'at once' ? addAgain() : Promise.resolve(wait()).then(addAgain)
        }
      }
    }, { logger: lines.logger })
    app.backgroundTasks.add(() => never.opened)
    await setImmediate()
    app.backgroundTasks.add(() => {})
    const { settled } = app.backgroundTasks.add({ name: 'dropped' }, () => {})
    t.hasStrict(await settled, { state: 'lost', reason: 'overflow' })
    await setImmediate()
    await setImmediate()
    t.equal(lost, 1)
    t.match(lines.ofTasks.filter(({ msg }) => msg === 'background task hook failed'), [
      { hook: 'onTaskLost', task: 'dropped', err: { code: 'FST_ERR_BGT_OVERFLOW' } }
    ])
    t.match(app.backgroundTasks.stats(), { added: 3, lost: 1 })
    never.open()
    await app.close()
    t.match(app.backgroundTasks.stats(), { added: 3, lost: 1, completed: 2 })
  })
}

await t.test('where there is room again, an onTaskLost may add the task again', async t => {
  const free = latch()
  const app = await makeApp(t, {
    concurrency: 1,
    maxPending: 1,
    overflow: 'drop',
    hooks: {
      onTaskLost: async () => {
        await free.opened
        await app.backgroundTasks.idle()
        app.backgroundTasks.add({ name: 'again' }, () => {})
      }
    }
  })
  app.backgroundTasks.add(() => free.opened)
  await setImmediate()
  app.backgroundTasks.add(() => {})
  app.backgroundTasks.add(() => {})
  free.open()
  await setImmediate()
  await app.close()
  t.match(app.backgroundTasks.stats(), { added: 4, lost: 1, completed: 3 })
})

await t.test('hooks are those that were checked, whatever becomes of their object', async t => {
  const told: string[] = []
  const given: { onTaskStart: unknown, onTaskCompleted: unknown } =
    { onTaskStart: () => { told.push('start') }, onTaskCompleted: () => { told.push('completed') } }
  const app = await makeApp(t, { hooks: given as TaskHooks })
  const handle = app.backgroundTasks.add({ hooks: given as TaskHooks }, () => 'done')
  for (const name of names) Object.defineProperty(given, name, { get () { throw new Error('hostile') } })
  t.hasStrict(await handle.settled, { state: 'completed', result: 'done' })
  t.same(told, ['start', 'start', 'completed', 'completed'])
})

await t.test('what a hook resolves with is not looked at', async t => {
  const lines = new LogLines('error')
  const then = (): never => { throw new Error('hostile') }
  let reads = 0
  // Each promise that resolves with it reads its `then` again.
  const odd = new Proxy({}, { get: (_, key) => key === 'then' && ++reads > 2 ? then() : undefined })
  const app = await makeApp(t, { hooks: { onTaskCompleted: () => Promise.resolve(odd) } }, { logger: lines.logger })
  await app.backgroundTasks.add(() => {}).settled
  await app.close()
  t.equal(reads, 1, 'by its own promise')
  t.same(lines.ofTasks, [])
})
