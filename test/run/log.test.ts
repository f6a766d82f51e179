import { AsyncLocalStorage } from 'node:async_hooks'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import type { BackgroundTasksOptions, RequestBackgroundTasks, TaskHandle } from '../../types/index.ts'
import { makeApp } from '../helpers/app.ts'
import { latch } from '../helpers/latch.ts'
import { LogLines } from '../helpers/log-lines.ts'

function fail (): never {
  throw new Error('failed')
}

/** The lines about the tasks that a request adds, and its id. */
async function linesOf (t: Test, level: string, addTo: (tasks: RequestBackgroundTasks) => TaskHandle, answer = (): unknown => 'answered', options: BackgroundTasksOptions = {}): Promise<{ lines: LogLines['all'], expected: object }> {
  const lines = new LogLines(level)
  const app = await makeApp(t, options, { logger: lines.logger, genReqId: () => 'request-7' })
  const added = latch<TaskHandle>()
  app.get('/', request => {
    added.open(addTo(request.backgroundTasks))
    return answer()
  })
  await app.inject('/')
  await app.backgroundTasks.idle()
  const { id, name } = await added.opened
  return { lines: lines.ofTasks, expected: { reqId: 'request-7', task: name, taskId: id } }
}

await t.test('a failure is an error on the request\'s logger', async t => {
  const { lines, expected } = await linesOf(t, 'trace', tasks => tasks.add({ name: 'mail' }, fail))
  t.match(lines, [{ ...expected, level: 50, msg: 'background task failed', attempt: 1, err: { type: 'Error', message: 'failed', stack: /at fail/ } }])
  t.equal(lines.length, 1)
})

await t.test('a retry is a warning, with its delay', async t => {
  const { lines, expected } = await linesOf(t, 'info', tasks => tasks.add({ name: 'mail', retry: { attempts: 2, delay: 0 } }, fail))
  t.match(lines, [
    { ...expected, level: 40, msg: 'background task failed, will be tried again', attempt: 1, delay: 0, err: { message: 'failed' } },
    { ...expected, level: 50, msg: 'background task failed', attempt: 2, err: { message: 'failed' } }
  ])
  t.equal(lines.length, 2)
})

await t.test('a timeout is a failure', async t => {
  const never = latch()
  const { lines, expected } = await linesOf(t, 'info', tasks => tasks.add({ name: 'mail', timeout: 1 }, () => never.opened))
  t.match(lines, [{ ...expected, level: 50, msg: 'background task failed', attempt: 1, err: { code: 'FST_ERR_BGT_TIMEOUT' } }])
  t.equal(lines.length, 1)
  never.open()
})

await t.test('a task that is missed because its request failed is a warning', async t => {
  const { lines, expected } = await linesOf(t, 'info', tasks => tasks.add({ name: 'mail' }, fail), fail)
  t.match(lines, [{ ...expected, level: 40, msg: 'background task skipped', attempt: 0, reason: 'errored' }])
  t.equal(lines.length, 1)
})

await t.test('a task for errors is not missed where there was none', async t => {
  const { lines, expected } = await linesOf(t, 'debug', tasks => tasks.add({ name: 'mail', when: 'error' }, fail))
  t.match(lines, [{ ...expected, level: 20, msg: 'background task skipped', attempt: 0, reason: 'answered' }])
  t.equal(lines.length, 1)
})

await t.test('a loss is an error, with its reason', async t => {
  const { lines, expected } = await linesOf(t, 'info', tasks => {
    tasks.add({ name: 'waits', when: 'always' }, () => {})
    return tasks.add({ name: 'mail' }, fail)
  }, undefined, { maxPending: 1, overflow: 'drop' })
  t.match(lines, [{ ...expected, level: 50, msg: 'background task lost', attempt: 0, reason: 'overflow', err: { code: 'FST_ERR_BGT_OVERFLOW' } }])
  t.equal(lines.length, 1)
})

await t.test('what goes well is told at debug', async t => {
  const { lines, expected } = await linesOf(t, 'debug', tasks => tasks.add({ name: 'mail' }, () => 'secret result'))
  t.match(lines, [{ ...expected, level: 20, msg: 'background task completed', attempt: 1 }])
  t.equal(lines.length, 1)
  t.notMatch(JSON.stringify(lines), 'secret result')
})

await t.test('what was cancelled is told at debug', async t => {
  const { lines, expected } = await linesOf(t, 'debug', tasks => {
    const handle = tasks.add({ name: 'mail' }, fail)
    handle.cancel()
    return handle
  })
  t.match(lines, [{ ...expected, level: 20, msg: 'background task cancelled', attempt: 0 }])
  t.equal(lines.length, 1)
})

await t.test('what goes well or was cancelled is not told at info', async t => {
  const { lines } = await linesOf(t, 'info', tasks => {
    tasks.add({ name: 'cancelled' }, fail).cancel()
    tasks.add({ name: 'for errors', when: 'error' }, fail)
    return tasks.add({ name: 'mail' }, () => {})
  })
  t.same(lines, [])
})

await t.test('at trace everything is told once', async t => {
  const { lines } = await linesOf(t, 'trace', tasks => tasks.add({ name: 'mail' }, () => {}))
  t.match(lines, [{ level: 20, msg: 'background task completed' }])
  t.equal(lines.length, 1)
})

await t.test('a payload is in no line', async t => {
  const { lines } = await linesOf(t, 'trace', tasks => tasks.add((secret: string) => { throw new Error(`${secret.length} characters`) }, 'the secret'))
  t.match(lines, [{ err: { message: '10 characters' } }])
  t.equal(lines.length, 1)
  t.notMatch(JSON.stringify(lines), 'the secret')
})

await t.test('outside of a request the logger is the app\'s', async t => {
  const lines = new LogLines('debug')
  const app = await makeApp(t, {}, { logger: lines.logger })
  const { id } = app.backgroundTasks.add({ name: 'mail' }, fail)
  await app.backgroundTasks.idle()
  t.match(lines.ofTasks, [{ level: 50, msg: 'background task failed', task: 'mail', taskId: id }])
  t.equal(lines.ofTasks.length, 1)
  t.notOk('reqId' in lines.ofTasks[0]!)
})

await t.test('the task\'s own logger is a child of the request\'s', async t => {
  const lines = new LogLines('info')
  const app = await makeApp(t, {}, { logger: lines.logger, genReqId: () => 'request-7' })
  const added = latch<TaskHandle>()
  app.get('/', request => {
    added.open(request.backgroundTasks.add({ name: 'mail' }, context => {
      t.equal(context.log, context.log)
      context.log.info('half way')
    }))
    return 'answered'
  })
  await app.inject('/')
  const { id, settled } = await added.opened
  await settled
  t.match(lines.all.filter(({ msg }) => msg === 'half way'), [{ level: 30, reqId: 'request-7', task: 'mail', taskId: id }])
})

await t.test('a line is written in the async context of the add, for a logger that asks for it', async t => {
  const storage = new AsyncLocalStorage<string>()
  const lines: Record<string, unknown>[] = []
  const loggerInstance = pino({ level: 'debug', mixin: () => ({ tenant: storage.getStore() }) }, {
    write: line => lines.push(JSON.parse(line) as Record<string, unknown>)
  })
  const app = await makeApp(t, {}, { loggerInstance })
  storage.run('acme', () => {
    app.backgroundTasks.add(() => Promise.resolve())
    app.backgroundTasks.add({ retry: { attempts: 2, delay: 0 } }, () => Promise.reject(new Error('failed')))
  })
  await app.backgroundTasks.idle()
  t.same(lines.map(({ tenant }) => tenant), ['acme', 'acme', 'acme'])
})

await t.test('an app without a logger says nothing, and goes on', async t => {
  const app = await makeApp(t, {}, { logger: false })
  t.hasStrict(await app.backgroundTasks.add(fail).settled, { state: 'failed' })
  t.hasStrict(await app.backgroundTasks.add(() => {}).settled, { state: 'completed' })
})

await t.test('a logger whose levels cannot be read is asked to write all the same', async t => {
  const app = await makeApp(t)
  Object.defineProperty(app.log, 'trace', { get () { throw new Error('no level') } })
  t.hasStrict(await app.backgroundTasks.add(() => 'done').settled, { state: 'completed', result: 'done' })
  t.hasStrict(await app.backgroundTasks.add(() => 'next').settled, { state: 'completed', result: 'next' })
})
