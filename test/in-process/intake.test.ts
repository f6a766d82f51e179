import { spawnSync } from 'node:child_process'
import { setImmediate } from 'node:timers/promises'
import { Type } from '@sinclair/typebox'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { defineTask } from '../../lib/index.ts'
import type { Add, BackgroundTasksOptions, TaskContext, TaskHandle } from '../../types/index.ts'
import { makeApp } from '../helpers/app.ts'
import { loader, root, withoutCoverage } from '../helpers/child.ts'
import { latch } from '../helpers/latch.ts'
import { LogLines } from '../helpers/log-lines.ts'

const task = defineTask({ name: 'mail', payload: Type.Object({ to: Type.String() }), run: (payload, { name, attempt }) => [payload, name, attempt] })

function resultOf (handle: TaskHandle): Promise<unknown> {
  return handle.settled.then(outcome => outcome.state === 'completed' ? outcome.result : outcome)
}

await t.test('a function gets exactly the arguments that follow it', async t => {
  const app = await makeApp(t)
  const list = (...args: unknown[]): unknown[] => args
  t.same(await resultOf(app.backgroundTasks.add(list)), [])
  t.same(await resultOf(app.backgroundTasks.add(list, 1, undefined, { two: 2 })), [1, undefined, { two: 2 }])
})

await t.test('a function is the name of its task, or nobody is', async t => {
  const app = await makeApp(t)
  function tidy (): void {}
  t.equal(app.backgroundTasks.add(tidy).name, 'tidy')
  t.equal(app.backgroundTasks.add(() => {}).name, 'anonymous')
  t.equal(app.backgroundTasks.add({}, tidy).name, 'tidy')
  t.equal(app.backgroundTasks.add({}, () => {}).name, 'anonymous')
  t.equal(app.backgroundTasks.add({ name: 'sweep' }, tidy).name, 'sweep')
  await app.backgroundTasks.idle()
})

await t.test('a function after options gets the context alone', async t => {
  const app = await makeApp(t)
  const list = (...args: unknown[]): unknown[] => args
  const handle = app.backgroundTasks.add({ name: 'sweep' }, list as (context: TaskContext) => unknown)
  const args = await resultOf(handle) as [TaskContext]
  t.equal(args.length, 1)
  t.match(args[0], { name: 'sweep', attempt: 1, id: handle.id })
})

await t.test('a defined task gets its payload and the context', async t => {
  const app = await makeApp(t, { tasks: [task] })
  t.same(await resultOf(app.backgroundTasks.add(task, { to: 'ada' })), [{ to: 'ada' }, 'mail', 1])
})

await t.test('what add says goes before what the plugin says', async t => {
  const app = await makeApp(t, { when: 'error' })
  const ran: string[] = []
  app.get('/', request => {
    request.backgroundTasks.add({ when: 'success' }, () => ran.push('success'))
    request.backgroundTasks.add(() => ran.push('by default'))
    return 'answered'
  })
  await app.inject('/')
  await app.backgroundTasks.idle()
  t.same(ran, ['success'])
})

const fn = (): void => {}
const where = 'Invalid options'
const refused: [code: string, message: string, args: unknown[]][] = [
  ...[[], [undefined], [null], ['mail'], [7], [true], [Symbol('s')]].map((args): [string, string, unknown[]] =>
    ['FST_ERR_BGT_INVALID_TASK', 'add expects a function, options and a function, or a task made by defineTask, got ', args]),
  ['FST_ERR_BGT_INVALID_TASK', 'add expects a function after the options, got undefined', [{}]],
  ['FST_ERR_BGT_INVALID_TASK', "add expects a function after the options, got 'fn'", [{ name: 'sweep' }, 'fn']],
  ['FST_ERR_BGT_INVALID_OPTIONS', `${where}: Expected object, got [Array]`, [[fn]]],
  ['FST_ERR_BGT_INVALID_OPTIONS', `${where}/name: Expected 1 to 128 characters, none of them a control character, got ''`, [{ name: '' }, fn]],
  ['FST_ERR_BGT_INVALID_OPTIONS', `${where}/name: Expected 1 to 128 characters, none of them a control character, got a string`, [{ name: 'x'.repeat(129) }, fn]],
  ['FST_ERR_BGT_INVALID_OPTIONS', `${where}/delay: Unexpected property`, [{ delay: 5 }, fn]],
  ['FST_ERR_BGT_INVALID_OPTIONS', `${where}/when: Expected one of success, error, always, got 'later'`, [{ when: 'later' }, fn]],
  ['FST_ERR_BGT_INVALID_OPTIONS', `${where}/timeout: Expected number, got NaN`, [{ timeout: NaN }, fn]],
  ['FST_ERR_BGT_INVALID_OPTIONS', `${where}/timeout: Expected number to be greater or equal to 0, got -1`, [{ timeout: -1 }, fn]],
  ['FST_ERR_BGT_INVALID_OPTIONS', `${where}/timeout: Expected number, got Infinity`, [{ timeout: Infinity }, fn]],
  ['FST_ERR_BGT_INVALID_OPTIONS', `${where}/retry: Expected object, got a string`, [{ retry: '3' }, fn]],
  ['FST_ERR_BGT_INVALID_OPTIONS', `${where}/retry/attempts: Expected integer to be greater or equal to 1, got 0`, [{ retry: 0 }, fn]],
  ['FST_ERR_BGT_INVALID_OPTIONS', `${where}/retry/attempts: Expected integer to be greater or equal to 1, got 0`, [{ retry: { attempts: 0 } }, fn]],
  ['FST_ERR_BGT_INVALID_OPTIONS', `${where}/retry/attempts: Expected integer to be less or equal to 100, got 101`, [{ retry: { attempts: 101 } }, fn]],
  ['FST_ERR_BGT_INVALID_OPTIONS', `${where}/retry/attempts: Expected integer, got 1.5`, [{ retry: { attempts: 1.5 } }, fn]],
  ['FST_ERR_BGT_INVALID_OPTIONS', `${where}/retry/delay: Expected number to be less or equal to 86400000, got 86400001`, [{ retry: { delay: 86_400_001 } }, fn]],
  ['FST_ERR_BGT_INVALID_OPTIONS', `${where}/retry/delay: Expected number, got a string`, [{ retry: { delay: '1s' } }, fn]],
  ['FST_ERR_BGT_INVALID_OPTIONS', `${where}/retry/maxDelay: Expected number to be greater or equal to 0, got -1`, [{ retry: { maxDelay: -1 } }, fn]],
  ['FST_ERR_BGT_INVALID_OPTIONS', `${where}/retry/jitter: Expected number to be less or equal to 1, got 1.1`, [{ retry: { jitter: 1.1 } }, fn]],
  ['FST_ERR_BGT_INVALID_OPTIONS', `${where}/retry/backoff: Expected one of fixed, exponential, got 'linear'`, [{ retry: { backoff: 'linear' } }, fn]],
  ['FST_ERR_BGT_INVALID_OPTIONS', `${where}/retry/times: Unexpected property`, [{ retry: { times: 3 } }, fn]],
  ['FST_ERR_BGT_INVALID_OPTIONS', `${where}/hooks/onTaskEnd: Unexpected property`, [{ hooks: { onTaskEnd: fn } }, fn]],
  ['FST_ERR_BGT_INVALID_OPTIONS', `${where}/hooks/onStartup: Unexpected property`, [{ hooks: { onStartup: fn } }, fn]],
  ['FST_ERR_BGT_INVALID_OPTIONS', `${where}/name: Unexpected property`, [task, { to: 'ada' }, { name: 'other' }]],
  ['FST_ERR_BGT_INVALID_OPTIONS', `${where}/owner: Expected string length greater or equal to 1, got ''`, [task, { to: 'ada' }, { owner: '' }]],
  ['FST_ERR_BGT_INVALID_OPTIONS', `${where}/owner: Expected string length less or equal to 256, got a string`, [task, { to: 'ada' }, { owner: 'a'.repeat(257) }]],
  ['FST_ERR_BGT_INVALID_OPTIONS', `${where}/owner: Unexpected property`, [{ owner: 'ada' }, fn]],
  ['FST_ERR_BGT_INVALID_OPTIONS', `${where}: Expected object, got null`, [task, { to: 'ada' }, null]],
  ['FST_ERR_BGT_INVALID_PAYLOAD', 'payload/to Expected string', [task, { to: 7 }]],
  ['FST_ERR_BGT_INVALID_TASK', 'got a promise, whose work has begun', [Promise.resolve()]],
  ['FST_ERR_BGT_INVALID_TASK', 'got a generator function', [function * () {}]],
  ['FST_ERR_BGT_INVALID_TASK', 'got a generator function', [{}, async function * () {}]],
  ['FST_ERR_BGT_INVALID_TASK', 'options before the function: add({ retry, timeout }, fn)', [fn, { retry: 3, timeout: 5 }]]
]

await t.test('bad arguments are refused at the call, and nothing is kept of them', async t => {
  const app = await makeApp(t, { tasks: [task] })
  for (const [code, message, args] of refused) {
    t.throws(() => (app.backgroundTasks.add as (...args: unknown[]) => void)(...args), { code, message }, message)
  }
  t.equal(app.backgroundTasks.stats().added, 0)
})

await t.test('a bad add in a request costs none of its other tasks', async t => {
  const app = await makeApp(t)
  const ran: string[] = []
  app.get('/', request => {
    const add = request.backgroundTasks.add.bind(request.backgroundTasks) as Add & ((...args: unknown[]) => void)
    add(() => ran.push('before'))
    t.throws(() => add('not a function'), { code: 'FST_ERR_BGT_INVALID_TASK' })
    add(() => ran.push('after'))
    return 'answered'
  })
  t.equal((await app.inject('/')).statusCode, 200)
  await app.backgroundTasks.idle()
  t.same(ran, ['before', 'after'])
})

await t.test('explicitly undefined options are left out', async t => {
  const app = await makeApp(t, { tasks: [task] })
  const options = { name: undefined, when: undefined, timeout: undefined, retry: undefined, hooks: undefined } as never
  t.hasStrict(await app.backgroundTasks.add(options, () => 'done').settled, { state: 'completed', result: 'done' })
  const retry = { attempts: undefined, delay: undefined, backoff: undefined, maxDelay: undefined, jitter: undefined } as never
  t.hasStrict(await app.backgroundTasks.add({ retry }, () => 'done').settled, { state: 'completed', result: 'done' })
  t.hasStrict(await app.backgroundTasks.add(task, { to: 'ada' }, undefined).settled, { state: 'completed' })
})

/** An app whose one slot is taken, until `free` is called. */
async function makeFull (t: Test, options: BackgroundTasksOptions, lines = new LogLines('error')): Promise<{ app: FastifyInstance, free: () => void }> {
  const app = await makeApp(t, { concurrency: 1, ...options }, { logger: lines.logger })
  const end = latch()
  app.backgroundTasks.add(() => end.opened)
  await setImmediate()
  return { app, free: () => end.open() }
}

await t.test('overflow reject: the handler gets a 503 that names the option', async t => {
  const { app, free } = await makeFull(t, { maxPending: 2 })
  app.get('/', request => {
    for (let n = 0; n < 3; n++) request.backgroundTasks.add({ name: `task-${n}`, when: 'always' }, fn)
    return 'never'
  })
  const response = await app.inject('/')
  t.equal(response.statusCode, 503)
  t.match(response.json(), {
    code: 'FST_ERR_BGT_OVERFLOW',
    message: 'No room for task "task-2": 2 tasks are pending, and the option "maxPending" is 2'
  })
  t.match(app.backgroundTasks.stats(), { added: 3, pending: 2 })
  free()
  await app.backgroundTasks.idle()
  t.match(app.backgroundTasks.stats(), { added: 3, completed: 3 })
})

await t.test('there is room again once tasks have left', async t => {
  const { app, free } = await makeFull(t, { maxPending: 1 })
  app.backgroundTasks.add(fn)
  t.throws(() => app.backgroundTasks.add(fn), { code: 'FST_ERR_BGT_OVERFLOW' })
  free()
  await app.backgroundTasks.idle()
  t.hasStrict(await app.backgroundTasks.add(fn).settled, { state: 'completed' })
})

await t.test('overflow drop: the task is lost, logged and counted, and the handler goes on', async t => {
  const lines = new LogLines('error')
  const lost: string[] = []
  const { app, free } = await makeFull(t, { maxPending: 1, overflow: 'drop', hooks: { onTaskLost: ({ name, reason }) => lost.push(name, reason) } }, lines)
  let handle: TaskHandle | undefined
  app.get('/', request => {
    request.backgroundTasks.add(fn)
    handle = request.backgroundTasks.add({ name: 'dropped', when: 'error' }, () => t.fail('ran'))
    return 'answered'
  })
  t.equal((await app.inject('/')).statusCode, 200)
  t.equal(handle?.state, 'lost')
  t.match(await handle?.settled, { state: 'lost', attempts: 0, reason: 'overflow', error: { code: 'FST_ERR_BGT_OVERFLOW', stack: undefined } })
  t.type(new Error('of others').stack, 'string', 'only its own error goes without a stack')
  t.same(lost, ['dropped', 'overflow'])
  t.match(lines.ofTasks, [{ msg: 'background task lost', task: 'dropped', reason: 'overflow', err: { code: 'FST_ERR_BGT_OVERFLOW' } }])
  t.equal(lines.ofTasks.length, 1)
  free()
  await app.backgroundTasks.idle()
  t.match(app.backgroundTasks.stats(), { added: 3, completed: 2, lost: 1 })
})

await t.test('a task is dropped in a process with --frozen-intrinsics as well', t => {
  const { stdout } = spawnSync(process.execPath, [...loader, '--frozen-intrinsics', 'test/fixtures/frozen.js'], { cwd: root, env: withoutCoverage(), encoding: 'utf8' })
  t.equal(stdout, 'lost overflow\n')
  t.end()
})
