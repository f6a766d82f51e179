import Fastify from 'fastify'
import t from 'tap'
import backgroundTasks, { defineTask } from '../lib/index.ts'
import type { BackgroundTasksOptions } from '../types/index.ts'
import { makeApp } from './helpers/app.ts'

const run = (): void => {}
const task = defineTask({ name: 'registered', run })
const MAX_TIMER = 2 ** 31 - 1
const choice = { overflow: 'reject, drop, escalate', when: 'success, error, always' }

const accepted: [what: string, options: BackgroundTasksOptions][] = [
  ['nothing', {}],
  ['the smallest numbers', { concurrency: 1, maxPending: 1, timeout: 0, drainTimeout: 0, abortGrace: 0 }],
  ['the greatest times', { timeout: MAX_TIMER, drainTimeout: MAX_TIMER, abortGrace: MAX_TIMER }],
  ['large bounds', { concurrency: Number.MAX_SAFE_INTEGER, maxPending: Number.MAX_SAFE_INTEGER }],
  ['overflow drop', { overflow: 'drop' }],
  ['when error', { when: 'error' }],
  ['when always', { when: 'always' }],
  ['empty tasks and hooks', { tasks: [], hooks: {} }],
  ['all hooks', {
    hooks: { onStartup: run, onShutdown: run, onTaskStart: run, onTaskCompleted: run, onTaskFailed: run, onTaskRetry: run, onTaskSkipped: run, onTaskLost: run }
  }]
]

for (const [what, options] of accepted) {
  await t.test(`accepts ${what}`, async t => {
    const app = await makeApp(t, options)
    await app.ready()
    t.equal(app.backgroundTasks.stats().added, 0)
  })
}

const wholeFromOne: [value: unknown, problem: string][] = [
  [0, 'Expected integer to be greater or equal to 1, got 0'],
  [-1, 'Expected integer to be greater or equal to 1, got -1'],
  [1.5, 'Expected integer, got 1.5'],
  [NaN, 'Expected integer, got NaN'],
  [Infinity, 'Expected integer, got Infinity'],
  ['10', 'Expected integer, got a string'],
  [null, 'Expected integer, got null'],
  [10n, 'Expected integer, got 10n']
]
const milliseconds: [value: unknown, problem: string][] = [
  [-1, 'Expected number to be greater or equal to 0, got -1'],
  [MAX_TIMER + 1, 'Expected number to be less or equal to 2147483647, got 2147483648'],
  [NaN, 'Expected number, got NaN'],
  [Infinity, 'Expected number, got Infinity'],
  ['1s', 'Expected number, got a string'],
  [null, 'Expected number, got null']
]

const refused: [options: object, message: string][] = [
  ...wholeFromOne.flatMap(([value, problem]): [object, string][] => [
    [{ concurrency: value }, `Invalid options/concurrency: ${problem}`],
    [{ maxPending: value }, `Invalid options/maxPending: ${problem}`]
  ]),
  ...milliseconds.flatMap(([value, problem]): [object, string][] => [
    [{ timeout: value }, `Invalid options/timeout: ${problem}`],
    [{ drainTimeout: value }, `Invalid options/drainTimeout: ${problem}`],
    [{ abortGrace: value }, `Invalid options/abortGrace: ${problem}`]
  ]),
  [{ overflow: 'wait' }, `Invalid options/overflow: Expected one of ${choice.overflow}, got 'wait'`],
  [{ overflow: null }, `Invalid options/overflow: Expected one of ${choice.overflow}, got null`],
  [{ when: 'failure' }, `Invalid options/when: Expected one of ${choice.when}, got 'failure'`],
  [{ when: ['error'] }, `Invalid options/when: Expected one of ${choice.when}, got [Array]`],
  [{ tasks: {} }, 'Invalid options/tasks: Expected array, got {}'],
  [{ tasks: task }, 'Invalid options/tasks: Expected array, got [DefinedTask]'],
  [{ tasks: [task, run] }, 'Invalid options/tasks/1: Expected a task made by defineTask, got [Function: run]'],
  [{ tasks: [undefined] }, 'Invalid options/tasks/0: Expected a task made by defineTask, got undefined'],
  [{ tasks: [null] }, 'Invalid options/tasks/0: Expected a task made by defineTask, got null'],
  [{ tasks: [{ name: 'a', run }] }, 'Invalid options/tasks/0: Expected a task made by defineTask, got [Object]'],
  [{ hooks: run }, 'Invalid options/hooks: Expected object, got [Function: run]'],
  [{ hooks: { onTaskStart: 'log' } }, 'Invalid options/hooks/onTaskStart: Expected function, got a string'],
  [{ hooks: { onStartup: null } }, 'Invalid options/hooks/onStartup: Expected function, got null'],
  [{ hooks: { onTaskEnd: run } }, 'Invalid options/hooks/onTaskEnd: Unexpected property'],
  [{ hooks: { url: 'redis://:canary@host' } }, 'Invalid options/hooks/url: Unexpected property'],
  [{ status: 'redis://:canary@host' }, 'Invalid options/status: Expected object, got a string'],
  [{ concurency: 4 }, 'Invalid options: Unknown option "concurency". Did you mean "concurrency"?'],
  [{ adapter: {} }, 'Invalid options/adapter/name: Expected required property, got undefined']
]

for (const [options, message] of refused) {
  await t.test(message, async t => {
    await t.rejects(makeApp(t, options), { code: 'FST_ERR_BGT_INVALID_OPTIONS', message })
  })
}

await t.test('what belongs to register itself is no option of the plugin', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(backgroundTasks, { prefix: '/api', logLevel: 'warn', logSerializers: {}, concurrency: 1 })
  t.equal(app.backgroundTasks.stats().added, 0)
})

await t.test('frozen options are as good as others', async t => {
  const options = Object.freeze({ tasks: Object.freeze([task]), hooks: Object.freeze({ onTaskStart: run }) })
  await t.resolves(makeApp(t, options))
})

await t.test('options are read once, and never changed', async t => {
  const options: BackgroundTasksOptions = { maxPending: 1, hooks: {}, tasks: [] }
  const app = await makeApp(t, options)
  t.same(options, { maxPending: 1, hooks: {}, tasks: [] })
  options.maxPending = 2
  app.backgroundTasks.add(run)
  t.throws(() => app.backgroundTasks.add(run), { code: 'FST_ERR_BGT_OVERFLOW' })
  await app.backgroundTasks.idle()
})

await t.test('hooks may be an instance of a class', async t => {
  const started: string[] = []
  class Metrics {
    onTaskStart ({ name }: { name: string }): void {
      started.push(name)
    }
  }
  const app = await makeApp(t, { hooks: new Metrics() })
  app.backgroundTasks.add({ name: 'counted' }, run)
  await app.backgroundTasks.idle()
  t.same(started, ['counted'])
})

await t.test('overflow "escalate" needs an adapter', async t => {
  await t.rejects(makeApp(t, { overflow: 'escalate' }), {
    code: 'FST_ERR_BGT_NO_ADAPTER',
    message: 'The option overflow: "escalate" needs a queue adapter, and none is configured'
  })
})

await t.test('a task that escalates needs an adapter', async t => {
  const escalating = defineTask({ name: 'escalating', escalate: ['failure'], run })
  await t.rejects(makeApp(t, { tasks: [escalating] }), {
    code: 'FST_ERR_BGT_NO_ADAPTER',
    message: '"escalate" of task "escalating" needs a queue adapter, and none is configured'
  })
})

await t.test('options of others, as an autoload application hands on, are left alone', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  const foreign = { ajv: {}, pluginTimeout: 5, dbUrl: 'postgres://', c: 1, logger: true, constructor: Object }
  await app.register(backgroundTasks, { ...foreign, maxPending: 1 })
  app.backgroundTasks.add(() => {})
  t.throws(() => app.backgroundTasks.add(() => {}), { code: 'FST_ERR_BGT_OVERFLOW' })
})
