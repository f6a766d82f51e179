import { once } from 'node:events'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { Type } from '@sinclair/typebox'
import t, { type Test } from 'tap'
import { defineTask, startWorker } from '../../lib/index.ts'
import { sqlite } from '../../lib/adapters/sqlite/index.ts'
import taskRoutes, { type TaskStatus } from '../../lib/routes/index.ts'
import type { BackgroundTasksOptions, Task, TaskContext } from '../../types/index.ts'
import { makeApp } from '../helpers/app.ts'
import { type Latch, latch } from '../helpers/latch.ts'

interface Report {
  readonly task: Task<{ rows: number }>
  readonly begun: Latch<TaskContext>
  readonly finish: Latch<void>
}

/** A report that the test lets begin and finish. */
function makeReport (): Report {
  const [begun, finish] = [latch<TaskContext>(), latch()]
  const task = defineTask({
    name: 'report',
    payload: Type.Object({ rows: Type.Integer() }),
    async run ({ rows }, context) {
      context.progress({ done: 0, of: rows })
      begun.open(context)
      await finish.opened
      context.signal.throwIfAborted()
      context.progress({ done: rows, of: rows })
      return { file: 'report.pdf', rows }
    }
  })
  return { task, begun, finish }
}

/** A server that takes reports, in this process or for the queue. */
async function serve (t: Test, task: Report['task'], options: BackgroundTasksOptions = {}): Promise<string> {
  const app = await makeApp(t, { tasks: [task], ...options }, { forceCloseConnections: true })
  await app.register(taskRoutes, { prefix: '/tasks', public: true })
  app.post<{ Body: { rows: number } }>('/reports', async (request, reply) => {
    const { backgroundTasks, body } = request
    return reply.accepted(options.adapter === undefined ? backgroundTasks.add(task, body) : await backgroundTasks.enqueue(task, body))
  })
  return await app.listen({ host: '127.0.0.1', port: 0 })
}

async function order (url: string, rows: number): Promise<URL> {
  const response = await fetch(new URL('/reports', url), { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ rows }) })
  t.equal(response.status, 202)
  const { taskId } = await response.json() as { taskId: string }
  t.equal(response.headers.get('location'), `/tasks/${taskId}`)
  return new URL(response.headers.get('location')!, url)
}

interface Answer {
  readonly status: TaskStatus
  readonly headers: Headers
}

/** Asks, as a client that keeps the latest ETag, until the state is this one. */
async function poll (location: URL, state: TaskStatus['state']): Promise<Answer> {
  let etag = ''
  for (;;) {
    const response = await fetch(location, { headers: { 'if-none-match': etag } })
    if (response.status === 304) {
      t.equal(await response.text(), '')
    } else {
      const status = await response.json() as TaskStatus
      if (status.state === state) return { status, headers: response.headers }
    }
    etag = response.headers.get('etag')!
    await setImmediate()
  }
}

await t.test('a client follows a task of the server from 202 to its result', async t => {
  const { task, begun, finish } = makeReport()
  const location = await order(await serve(t, task), 3)
  await begun.opened
  const running = await poll(location, 'running')
  t.match(running.status, { task: 'report', attempts: 1, progress: { done: 0, of: 3 } })
  t.equal(running.headers.get('retry-after'), '1')

  const etag = running.headers.get('etag')!
  const again = await fetch(location, { headers: { 'if-none-match': etag } })
  t.equal(again.status, 304)
  t.equal(again.headers.get('etag'), etag)

  finish.open()
  const completed = await poll(location, 'completed')
  t.match(completed.status, { attempts: 1, progress: { done: 3, of: 3 }, result: { file: 'report.pdf', rows: 3 } })
  t.ok(completed.status.enqueuedAt <= completed.status.startedAt! && completed.status.startedAt! <= completed.status.endedAt!)
  t.equal(completed.headers.get('retry-after'), null)
  t.equal((await fetch(location, { method: 'DELETE' })).status, 409)
})

await t.test('a job is followed, and cancelled, through a server that does not run it', async t => {
  const { task, begun, finish } = makeReport()
  const file = join(t.testdir(), 'queue.db')
  const url = await serve(t, task, { adapter: sqlite({ file }) })
  const [first, second, third] = [await order(url, 1), await order(url, 2), await order(url, 3)]
  t.match((await poll(first, 'pending')).status, { attempts: 0 })
  const removed = await fetch(second, { method: 'DELETE' })
  t.equal(removed.status, 200)
  t.match(await removed.json(), { state: 'cancelled' })

  const worker = await makeApp(t, { tasks: [task], adapter: sqlite({ file, pollInterval: 10, lease: 1_000 }) })
  await startWorker(worker, { concurrency: 1 })
  const { signal } = await begun.opened
  t.match((await poll(first, 'running')).status, { attempts: 1, progress: { done: 0, of: 1 } })
  const told = await fetch(first, { method: 'DELETE' })
  t.equal(told.status, 202)
  t.match(await told.json(), { state: 'running' })
  if (!signal.aborted) await once(signal, 'abort')
  finish.open()
  t.match((await poll(first, 'cancelled')).status, { error: { code: 'FST_ERR_BGT_CANCELLED' } })
  t.match((await poll(second, 'cancelled')).status, { attempts: 0 })
  t.match((await poll(third, 'completed')).status, { result: { file: 'report.pdf', rows: 3 } })
})
