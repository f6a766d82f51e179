import t from 'tap'
import { defineTask } from '../../lib/index.ts'
import type { TaskContext, TaskDefinition } from '../../types/index.ts'
import { makeApp } from '../helpers/app.ts'
import { LogLines } from '../helpers/log-lines.ts'
import { fakeTimers, passTimeUntil } from '../helpers/timers.ts'

const run = (): void => {}

await t.test('a defined task shows what it was defined with', t => {
  const hooks = { onTaskFailed: run }
  const task = defineTask({ name: 'mail', when: 'always', timeout: 5, retry: { attempts: 2 }, escalate: ['failure'], hooks, run })
  t.equal(task.name, 'mail')
  t.same(task.options, { when: 'always', timeout: 5, retry: { attempts: 2 }, hooks })
  t.same(task.escalate, ['failure'])
  t.end()
})

await t.test('a task without options has none', t => {
  const task = defineTask({ name: 'mail', run })
  t.same(task.options, {})
  t.same(task.escalate, [])
  t.end()
})

await t.test('a defined task is frozen, and what it was defined with may change', t => {
  const escalate: TaskDefinition['escalate'] = ['failure']
  const task = defineTask({ name: 'mail', escalate, run })
  escalate.push('shutdown')
  t.same(task.escalate, ['failure'])
  t.ok([task, task.options, task.escalate].every(Object.isFrozen))
  t.end()
})

await t.test('a unit test may call run as it was defined', t => {
  const task = defineTask({ name: 'mail', run: (_payload: undefined, { attempt }: TaskContext) => `attempt ${attempt}` })
  t.equal(task.run(undefined, { attempt: 4 } as TaskContext), 'attempt 4')
  t.end()
})

for (const [value, got] of [[undefined, 'undefined'], [null, 'null'], ['mail', "'mail'"], [run, '[Function: run]']] as const) {
  await t.test(`defineTask refuses ${got}`, t => {
    t.throws(() => defineTask(value as never), {
      code: 'FST_ERR_BGT_INVALID_TASK',
      message: `Invalid task: defineTask expects an object with name and run, got ${got}`
    })
    t.end()
  })
}

const refused: [problem: string, definition: object][] = [
  ['/name: Expected 1 to 128 characters, none of them a control character, got undefined', { run }],
  ['/name: Expected 1 to 128 characters, none of them a control character, got \'\'', { name: '', run }],
  ['/name: Expected 1 to 128 characters, none of them a control character, got a string', { name: 'x'.repeat(129), run }],
  ...['\0', 'a\nb', '\u001b[2J', '\u007f', '\u0085', '\u2028', '\u2029'].map((name): [string, object] => ['/name: Expected 1 to 128 characters, none of them a control character, got a string', { name, run }]),
  ['/name: Expected 1 to 128 characters, none of them a control character, got 7', { name: 7, run }],
  ['/run: Expected required property, got undefined', { name: 'mail' }],
  ['/run: Expected function, got a string', { name: 'mail', run: 'run' }],
  ['/handler: Unexpected property', { name: 'mail', run, handler: run }],
  ['/escalate: Expected array, got a string', { name: 'mail', escalate: 'failure', run }],
  ['/escalate/0: Expected one of overflow, shutdown, failure, got \'crash\'', { name: 'mail', escalate: ['crash'], run }]
]

for (const [problem, definition] of refused) {
  await t.test(`defineTask refuses ${problem}`, t => {
    t.throws(() => defineTask(definition as never), { code: 'FST_ERR_BGT_INVALID_OPTIONS', message: `Invalid task${problem}` })
    t.end()
  })
}

await t.test('defineTask refuses a generator function, whose call runs nothing', t => {
  for (const run of [function * () {}, async function * () {}]) {
    t.throws(() => defineTask({ name: 'mail', run }), {
      code: 'FST_ERR_BGT_INVALID_TASK',
      message: 'Invalid task: expected a function that runs when it is called, got a generator function'
    })
  }
  t.end()
})

await t.test('a name may have 1 to 128 characters', t => {
  t.equal(defineTask({ name: 'x', run }).name, 'x')
  t.equal(defineTask({ name: 'x'.repeat(128), run }).name.length, 128)
  t.end()
})

await t.test('two tasks of one name cannot be registered', async t => {
  const tasks = [defineTask({ name: 'mail', run }), defineTask({ name: 'mail', run })]
  await t.rejects(makeApp(t, { tasks }), { code: 'FST_ERR_BGT_DUPLICATE_TASK', message: 'Two tasks are named "mail"' })
})

await t.test('one task cannot be registered twice', async t => {
  const task = defineTask({ name: 'mail', run })
  await t.rejects(makeApp(t, { tasks: [task, task] }), { code: 'FST_ERR_BGT_DUPLICATE_TASK' })
})

await t.test('a task that is not registered cannot be added', async t => {
  const app = await makeApp(t)
  t.throws(() => app.backgroundTasks.add(defineTask({ name: 'mail', run })), {
    code: 'FST_ERR_BGT_TASK_NOT_REGISTERED',
    message: 'The task "mail" is not registered: add it to the plugin\'s option "tasks"'
  })
  t.equal(app.backgroundTasks.stats().added, 0)
})

await t.test('another task under a registered name cannot be added', async t => {
  const app = await makeApp(t, { tasks: [defineTask({ name: 'mail', run })] })
  t.throws(() => app.backgroundTasks.add(defineTask({ name: 'mail', run })), { code: 'FST_ERR_BGT_TASK_NOT_REGISTERED' })
})

await t.test('one task may be registered in two apps', async t => {
  const task = defineTask({ name: 'mail', run: () => 'sent' })
  for (const app of [await makeApp(t, { tasks: [task] }), await makeApp(t, { tasks: [task] })]) {
    t.hasStrict(await app.backgroundTasks.add(task).settled, { state: 'completed', result: 'sent' })
  }
})

await t.test('the options of the definition hold, where add says nothing else', async t => {
  const lines = new LogLines('error')
  const task = defineTask({ name: 'flaky', retry: { attempts: 2, delay: 0 }, run: () => { throw new Error('down') } })
  const app = await makeApp(t, { tasks: [task] }, { logger: lines.logger })
  t.hasStrict(await app.backgroundTasks.add(task).settled, { state: 'failed', attempts: 2 })
  t.hasStrict(await app.backgroundTasks.add(task, undefined, {}).settled, { state: 'failed', attempts: 2 })
  t.hasStrict(await app.backgroundTasks.add(task, undefined, { retry: { attempts: 1 } }).settled, { state: 'failed', attempts: 1 })
})

await t.test('retry: 3 is { attempts: 3 }, in a definition and for add', async t => {
  const attempts: Record<string, number> = {}
  const fails = ({ name }: TaskContext): never => {
    attempts[name] = (attempts[name] ?? 0) + 1
    throw new Error('again')
  }
  const short = defineTask({ name: 'short', retry: 3, run: (_payload, context) => fails(context) })
  const long = defineTask({ name: 'long', retry: { attempts: 3 }, run: (_payload, context) => fails(context) })
  t.strictSame(short.options, long.options)
  fakeTimers(t)
  const app = await makeApp(t, { tasks: [short, long] })
  const { backgroundTasks } = app
  for (const handle of [
    backgroundTasks.add(short), backgroundTasks.add(long), backgroundTasks.add({ name: 'add', retry: 3 }, fails),
    backgroundTasks.add(short, undefined, { retry: 3 })
  ]) t.hasStrict(await passTimeUntil(handle.settled), { state: 'failed', attempts: 3 })
  t.same(attempts, { short: 6, long: 3, add: 3 })
})
