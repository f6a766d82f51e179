import { mock } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import swagger from '@fastify/swagger'
import { Type } from '@sinclair/typebox'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest, type FastifyServerOptions, type LightMyRequestResponse } from 'fastify'
import t, { type Test } from 'tap'
import { defineTask, startWorker } from '../../lib/index.ts'
import { memory } from '../../lib/adapters/memory/index.ts'
import taskRoutes, * as exported from '../../lib/routes/index.ts'
import type { BackgroundTasksOptions, Task, TaskHandle, TaskInfo } from '../../types/index.ts'
import { makeApp } from '../helpers/app.ts'
import { latch } from '../helpers/latch.ts'
import { LogLines } from '../helpers/log-lines.ts'
import { UnrulyAdapter } from '../helpers/unruly-adapter.ts'

const UNKNOWN = '00000000-0000-4000-8000-000000000000'

/** Its payload is its progress, and its result. */
const echo: Task<unknown> = defineTask({
  name: 'echo',
  payload: Type.Any(),
  run (payload: unknown, { progress }) {
    progress(payload)
    return payload
  }
})

async function makeRouted (t: Test, routes: object = { prefix: '/tasks', public: true }, options: BackgroundTasksOptions = {}, server: FastifyServerOptions = {}): Promise<FastifyInstance> {
  const app = await makeApp(t, { tasks: [echo], ...options }, server)
  await app.register(taskRoutes, routes as never)
  return app
}

async function ended (handle: TaskHandle): Promise<string> {
  const { id, settled } = handle
  await settled
  await setImmediate()
  return id
}

/** An adapter whose queue knows one job. */
function knowing (info: Partial<TaskInfo>): UnrulyAdapter {
  const adapter = new UnrulyAdapter()
  const job = { id: UNKNOWN, task: 'mail', queue: 'default', state: 'pending', attempts: 0, enqueuedAt: Date.now(), ...info } as const
  adapter.status = id => Promise.resolve(id === UNKNOWN ? job as never : null)
  return adapter
}

function isUnknown (t: Test, response: LightMyRequestResponse): void {
  t.equal(response.statusCode, 404)
  t.strictSame(response.json(), {
    statusCode: 404,
    code: 'FST_ERR_BGT_TASK_NOT_FOUND',
    error: 'Not Found',
    message: 'No task with this id is known here: check the id, and how long tasks are kept after their end'
  })
}

await t.test('the subpath exports the plugin, under two names, and the schemas', t => {
  t.same(Object.keys(exported).toSorted(), ['default', 'taskAccepted', 'taskRoutes', 'taskStatus'])
  t.equal(exported.taskRoutes, exported.default)
  t.end()
})

await t.test('it has to be said whom the routes are for', async t => {
  const refused: [options: object, message: string][] = [
    [{}, 'Invalid options: Expected either a function "authorize" or public: true, got neither'],
    [{ public: false }, 'Invalid options: Expected either a function "authorize" or public: true, got neither'],
    [{ public: true, authorize: () => true }, 'Invalid options: Expected either a function "authorize" or public: true, got both'],
    [{ authorize: 'admin' }, 'Invalid options/authorize: Expected function, got a string'],
    [{ public: 'yes' }, 'Invalid options/public: Expected boolean, got a string'],
    [{ public: true, prefix: 1 }, 'Invalid options/prefix: Expected string, got 1'],
    [{ public: true, expose: {} }, 'Invalid options/expose: Expected function, got {}'],
    [{ public: true, authenticate: 'jwt' }, 'Invalid options/authenticate: Expected function, or an array of functions, got a string'],
    [{ public: true, authenticate: [] }, 'Invalid options/authenticate: Expected function, or an array of functions, got []'],
    [{ public: true, maxLookups: 0 }, 'Invalid options/maxLookups: Expected integer to be greater or equal to 1, got 0'],
    [{ public: true, auth: 1 }, 'Invalid options/auth: Unexpected property'],
    [{ public: true, prefix: '/:tenant/tasks' }, "Invalid options/prefix: Expected a path without parameters, got '/:tenant/tasks'"]
  ]
  for (const [options, message] of refused) {
    const app = await makeApp(t)
    await t.rejects(async () => { await app.register(taskRoutes, options as never) }, { code: 'FST_ERR_BGT_INVALID_OPTIONS', message })
  }
})

await t.test('it needs the plugin', async t => {
  const app = Fastify()
  await t.rejects(async () => { await app.register(taskRoutes, { public: true }) }, { code: 'FST_ERR_PLUGIN_DEPENDENCY_NOT_REGISTERED' })
})

await t.test('a status has all that is known, with times as people read them', async t => {
  const error = { name: 'Oops', message: 'no', code: 'E', stack: 'secret' }
  const app = await makeRouted(t, undefined, { adapter: knowing({ state: 'failed', attempts: 2, progress: [1], error, owner: 'ada', enqueuedAt: 0, startedAt: 1_000, endedAt: 2_500 }) })
  const response = await app.inject(`/tasks/${UNKNOWN}`)
  t.equal(response.statusCode, 200)
  t.equal(response.headers['content-type'], 'application/json; charset=utf-8')
  t.equal(response.headers['cache-control'], 'no-store')
  t.notOk('retry-after' in response.headers)
  t.equal(response.body, JSON.stringify({
    taskId: UNKNOWN,
    task: 'mail',
    state: 'failed',
    attempts: 2,
    progress: [1],
    error: { name: 'Oops', message: 'no', code: 'E' },
    enqueuedAt: '1970-01-01T00:00:00.000Z',
    startedAt: '1970-01-01T00:00:01.000Z',
    endedAt: '1970-01-01T00:00:02.500Z'
  }))
})

await t.test('what is not known is left out', async t => {
  const app = await makeRouted(t, undefined, { adapter: knowing({ state: 'retrying', error: { name: 'Error', message: 'no' } }) })
  const body = (await app.inject(`/tasks/${UNKNOWN}`)).json<object>()
  t.strictSame(Object.keys(body), ['taskId', 'task', 'state', 'attempts', 'error', 'enqueuedAt'])
  t.match(body, { error: { code: undefined } })
})

const values: unknown[] = [{ deep: { list: [{ a: 1, b: [null, 'two'] }], none: null } }, [], [[1], 'a'], 'text', '', 0, -1.5, true, false, null, { '': 1, toString: 'own' }]

await t.test('results and progress arrive as they are, whatever JSON they are', async t => {
  const app = await makeRouted(t)
  for (const value of values) {
    const id = await ended(app.backgroundTasks.add(echo, value))
    const { result, progress } = (await app.inject(`/tasks/${id}`)).json<{ result: unknown, progress: unknown }>()
    t.strictSame([result, progress], [value, value])
  }
})

await t.test('so they do where a route of one\'s own has the schema, and Fastify\'s serializer', async t => {
  const app = await makeApp(t)
  app.post('/', { schema: { response: { 200: exported.taskStatus } } }, request => request.body)
  for (const value of values) {
    const payload = { taskId: UNKNOWN, task: 'mail', state: 'completed', attempts: 1, progress: value, result: value, enqueuedAt: '1970-01-01T00:00:00.000Z' }
    t.strictSame((await app.inject({ method: 'POST', url: '/', payload })).json(), payload)
  }
})

await t.test('asking again is cheap: nothing is sent that the client has', async t => {
  const info = { attempts: 1 }
  const adapter = knowing({})
  adapter.status = () => Promise.resolve({ id: UNKNOWN, task: 'mail', state: 'running', enqueuedAt: 0, ...info })
  const app = await makeRouted(t, undefined, { adapter })
  const get = (tag: string): Promise<LightMyRequestResponse> => app.inject({ url: `/tasks/${UNKNOWN}`, headers: { 'if-none-match': tag } })
  const etag = String((await app.inject(`/tasks/${UNKNOWN}`)).headers.etag)
  t.match(etag, /^W\/"[\w-]{43}"$/)
  for (const tag of [etag, etag.slice(2), '*', `"other", ${etag}`, ` W/"other",${etag} `]) {
    const response = await get(tag)
    t.equal(response.statusCode, 304, tag)
    t.equal(response.body, '')
    t.match(response.headers, { etag, 'retry-after': '60', 'cache-control': 'no-store' })
  }
  for (const tag of ['', '"other"', etag.slice(2, -1), etag.replace('W', 'w')]) t.equal((await get(tag)).statusCode, 200, tag)
  info.attempts = 2
  const changed = await get(etag)
  t.equal(changed.statusCode, 200)
  t.not(changed.headers.etag, etag)
})

await t.test('Retry-After is a tenth of the time it has taken, from 1 s to 60 s, until it is over', async t => {
  mock.timers.enable({ apis: ['Date'], now: 0 })
  t.teardown(() => mock.timers.reset())
  const adapter = knowing({})
  let state = 'pending'
  adapter.status = () => Promise.resolve({ id: UNKNOWN, task: 'mail', state: state as 'pending', attempts: 0, enqueuedAt: 5_000 })
  const app = await makeRouted(t, undefined, { adapter })
  const retryAfter = async (): Promise<unknown> => (await app.inject(`/tasks/${UNKNOWN}`)).headers['retry-after']
  t.equal(await retryAfter(), '1', 'the clock of the process that enqueued may be ahead')
  mock.timers.setTime(6_000)
  for (state of ['pending', 'scheduled', 'running', 'retrying']) t.equal(await retryAfter(), '1')
  mock.timers.setTime(125_000)
  t.equal(await retryAfter(), '12')
  mock.timers.setTime(86_400_000)
  t.equal(await retryAfter(), '60')
  for (state of ['completed', 'failed', 'skipped', 'cancelled', 'lost']) t.equal(await retryAfter(), undefined)
})

await t.test('HEAD has the headers of GET', async t => {
  for (const exposeHeadRoutes of [true, false]) {
    const app = await makeRouted(t, undefined, {}, { exposeHeadRoutes })
    const id = await ended(app.backgroundTasks.add(echo, 'text'))
    const [get, head] = await Promise.all((['GET', 'HEAD'] as const).map(method => app.inject({ method, url: `/tasks/${id}` })))
    t.equal(head!.statusCode, 200)
    t.equal(head!.body, '')
    const { date: _, ...headers } = get!.headers
    t.match(head!.headers, headers)
    t.equal((await app.inject({ method: 'HEAD', url: `/tasks/${id}`, headers: { 'if-none-match': String(headers.etag) } })).statusCode, 304)
    t.equal((await app.inject({ method: 'HEAD', url: `/tasks/${UNKNOWN}` })).statusCode, 404)
  }
})

await t.test('an unknown id is a 404, and the queue is not asked about what is none', async t => {
  const asked: string[] = []
  const adapter = new UnrulyAdapter()
  adapter.status = async id => {
    await setImmediate()
    asked.push(id)
    return null
  }
  const app = await makeRouted(t, undefined, { adapter })
  for (const method of ['GET', 'DELETE'] as const) {
    for (const id of [UNKNOWN, '1', '..%2f..', UNKNOWN.toUpperCase().replace('0', 'A'), `${UNKNOWN}0`, '%00', '*', '__proto__']) {
      isUnknown(t, await app.inject({ method, url: `/tasks/${id}` }))
    }
  }
  t.strictSame(asked, [UNKNOWN, UNKNOWN])
  t.equal((await app.inject(`/tasks/${UNKNOWN}`)).headers['cache-control'], 'no-store')
  const notKnown = await app.inject('/tasks/')
  t.equal(notKnown.statusCode, 404)
})

await t.test('whom authorize does not let see a task cannot tell that it is there', async t => {
  const calls: unknown[][] = []
  let answer: unknown
  const app = await makeRouted(t, {
    prefix: '/tasks',
    authorize: (...args: unknown[]) => {
      calls.push(args)
      return answer
    }
  })
  const id = await ended(app.backgroundTasks.add(echo, 'mine'))
  for (answer of [false, undefined, 1, 'yes', Promise.resolve(false)]) {
    for (const method of ['GET', 'HEAD', 'DELETE'] as const) {
      const [hidden, unknown] = await Promise.all([id, UNKNOWN].map(id => app.inject({ method, url: `/tasks/${id}` })))
      const { date: _, ...headers } = unknown!.headers
      t.strictSame([hidden!.statusCode, hidden!.body], [404, unknown!.body])
      t.strictSame({ ...hidden!.headers, date: undefined }, { ...headers, date: undefined })
    }
  }
  t.equal(calls.length, 15, 'it is not asked about what is not there')
  for (answer of [true, Promise.resolve(true)]) {
    t.match((await app.inject(`/tasks/${id}?a=1`)).json(), { taskId: id, result: 'mine' })
  }
  t.match(calls.at(-1), [{ url: `/tasks/${id}?a=1` }, { id, task: 'echo', state: 'completed', result: 'mine' }, 'view'])
})

await t.test('an error of authorize is a line in the log, and the same 404', async t => {
  const err = new TypeError("Cannot read properties of undefined (reading 'id')")
  for (const authorize of [() => { throw err }, () => Promise.reject(err)]) {
    const lines = new LogLines('error')
    const app = await makeRouted(t, { prefix: '/tasks', authorize }, {}, { logger: lines.logger })
    const id = await ended(app.backgroundTasks.add(echo, 'mine'))
    for (const method of ['GET', 'DELETE'] as const) isUnknown(t, await app.inject({ method, url: `/tasks/${id}` }))
    t.match(lines.all, [1, 2].map(() => ({ reqId: /^req-/, task: 'echo', taskId: id, err: { message: err.message }, msg: 'background task routes: "authorize" threw' })))
  }
})

await t.test('authorize knows what is to be done, so who may see need not be able to cancel', async t => {
  const app = await makeRouted(t, { prefix: '/tasks', authorize: (_request: unknown, _info: unknown, action: string) => action === 'view' }, { concurrency: 1 })
  const end = latch()
  app.backgroundTasks.add(() => end.opened)
  const handle = app.backgroundTasks.add(echo, 'mine')
  const url = `/tasks/${handle.id}`
  for (const method of ['GET', 'HEAD'] as const) t.equal((await app.inject({ method, url })).statusCode, 200)
  isUnknown(t, await app.inject({ method: 'DELETE', url }))
  t.equal(handle.state, 'pending')
  end.open()
})

await t.test('authorize knows the owner of a task and of a job, and the body does not have it', async t => {
  const owners: unknown[] = []
  const app = await makeRouted(t, {
    prefix: '/tasks',
    authorize: ({ headers }: { headers: Record<string, string> }, { owner }: TaskInfo) => {
      owners.push(owner)
      return owner === headers['x-user']
    },
    expose: (info: TaskInfo) => ({ ...info, owner: 'eve' })
  }, { adapter: memory() })
  await app.ready()
  const { backgroundTasks } = app
  const given: (readonly [id: string, owner?: string])[] = [
    [backgroundTasks.add(echo, 1, { owner: 'ada' }).id, 'ada'],
    [(await backgroundTasks.enqueue(echo, 1, { owner: 'ada' })).id, 'ada'],
    [backgroundTasks.add(echo, 1).id],
    [(await backgroundTasks.enqueue(echo, 1)).id]
  ]
  for (const [id, owner] of given) {
    const url = `/tasks/${id}`
    const response = await app.inject({ url, headers: { 'x-user': 'ada' } })
    t.equal(response.statusCode, owner === undefined ? 404 : 200)
    t.equal(owners.pop(), owner)
    t.notMatch(response.body, /owner|ada|eve/)
  }
})

await t.test('authenticate comes before the look-up, with whatever refuses', async t => {
  let asked = 0
  const adapter = knowing({})
  const { status } = adapter
  adapter.status = id => {
    asked++
    return status(id)
  }
  const unauthorized = (): Error => Object.assign(new Error('who are you?'), { statusCode: 401 })
  const refusals: [way: string, authenticate: unknown, body: RegExp][] = [
    ['a hook that throws', async () => { throw unauthorized() }, /who are you/],
    ['a hook that sends', async (_request: unknown, reply: FastifyReply) => reply.code(401).send('no'), /^no$/],
    ['a hook with a callback', (_request: unknown, _reply: unknown, done: (error: Error) => void) => { done(unauthorized()) }, /who are you/],
    ['the second of two', [async () => {}, async () => { throw unauthorized() }], /who are you/]
  ]
  for (const [way, authenticate, body] of refusals) {
    for (const rights of [{ public: true }, { authorize: () => true }]) {
      const app = await makeRouted(t, { prefix: '/tasks', authenticate, ...rights }, { adapter })
      for (const method of ['GET', 'HEAD', 'DELETE'] as const) {
        const [known, unknown, none] = await Promise.all([UNKNOWN, UNKNOWN.replace('4', '8'), '1'].map(id => app.inject({ method, url: `/tasks/${id}` })))
        t.strictSame([known!.statusCode, known!.headers['cache-control']], [401, 'no-store'], way)
        if (method !== 'HEAD') t.match(known!.body, body)
        t.strictSame([unknown!.body, none!.body], [known!.body, known!.body])
      }
    }
  }
  t.equal(asked, 0)
})

await t.test('whom authenticate knows, authorize is told', async t => {
  const app = await makeApp(t, { tasks: [echo] })
  app.decorateRequest('user', null)
  const seen: unknown[] = []
  await app.register(taskRoutes, {
    async authenticate (this: FastifyInstance, request: FastifyRequest) {
      seen.push(this.hasRequestDecorator('user'))
      ;(request as unknown as { user: string }).user = 'ada'
    },
    authorize: (request: FastifyRequest) => (request as unknown as { user: string }).user === 'ada'
  })
  const id = await ended(app.backgroundTasks.add(echo, 1))
  t.equal((await app.inject(`/${id}`)).statusCode, 200)
  t.strictSame(seen, [true], 'it is bound to the instance, as hooks are')
  t.equal((await app.inject({ method: 'POST', url: '/' })).statusCode, 404)
  t.equal(seen.length, 1, 'it is of these routes alone')
})

await t.test('a flood of made-up ids does not take all there is to ask the queue', async t => {
  for (const [given, limit] of [[{}, 100], [{ maxLookups: 2 }, 2]] as const) {
    const adapter = new UnrulyAdapter()
    const arrived: string[] = []
    const all = latch()
    const answer = latch()
    adapter.status = async id => {
      if (arrived.push(id) === limit) all.open()
      await answer.opened
      return null
    }
    const app = await makeRouted(t, { prefix: '/tasks', public: true, ...given }, { adapter })
    const ask = (): Promise<LightMyRequestResponse> => app.inject(`/tasks/${UNKNOWN}`)
    const first = Array.from({ length: limit }, ask)
    await all.opened
    for (const method of ['GET', 'DELETE'] as const) {
      const refused = await app.inject({ method, url: `/tasks/${UNKNOWN}` })
      t.equal(refused.statusCode, 503)
      t.equal(refused.headers['retry-after'], '1')
      t.match(refused.json(), { code: 'FST_ERR_BGT_TOO_MANY_LOOKUPS' })
    }
    isUnknown(t, await app.inject('/tasks/1'))
    t.equal(arrived.length, limit)
    answer.open()
    for (const response of await Promise.all(first)) t.equal(response.statusCode, 404)
    t.equal((await ask()).statusCode, 404)
    adapter.status = () => Promise.reject(new Error('down'))
    for (let n = 0; n <= limit; n++) t.match((await ask()).json(), { code: 'FST_ERR_BGT_QUEUE_UNAVAILABLE' })
  }
})

await t.test('an error handler of the application writes all errors as it likes', async t => {
  const app = await makeApp(t, { tasks: [echo] })
  app.setErrorHandler<{ statusCode: number, code: string }>((error, _request, reply) => reply.code(error.statusCode).send({ type: error.code, detail: { deep: true } }))
  await app.register(taskRoutes, { public: true })
  t.strictSame((await app.inject(`/${UNKNOWN}`)).json(), { type: 'FST_ERR_BGT_TASK_NOT_FOUND', detail: { deep: true } })
})

await t.test('expose says what is shown', async t => {
  const app = await makeRouted(t, {
    prefix: '/tasks',
    public: true,
    expose: async ({ result, ...info }: TaskInfo, { headers }: { headers: object }) => {
      await setImmediate()
      return 'x-admin' in headers ? { ...info, result } : info
    }
  })
  const id = await ended(app.backgroundTasks.add(echo, 'secret'))
  const response = await app.inject(`/tasks/${id}`)
  t.notOk('result' in response.json<object>())
  const admins = await app.inject({ url: `/tasks/${id}`, headers: { 'x-admin': 'yes' } })
  t.match(admins.json(), { result: 'secret' })
  t.not(admins.headers.etag, response.headers.etag)
})

await t.test('a queue that fails is a 503', async t => {
  const adapter = new UnrulyAdapter()
  adapter.status = () => Promise.reject(new Error('connection lost'))
  const app = await makeRouted(t, undefined, { adapter })
  for (const method of ['GET', 'DELETE'] as const) {
    const response = await app.inject({ method, url: `/tasks/${UNKNOWN}` })
    t.equal(response.statusCode, 503)
    t.match(response.json(), { statusCode: 503, code: 'FST_ERR_BGT_QUEUE_UNAVAILABLE', error: 'Service Unavailable', message: 'The queue behind "unruly" did not answer: see its cause' })
  }
})

await t.test('DELETE cancels what waits, tells what runs, and says when it is too late', async t => {
  const begun = latch()
  const stopped = latch()
  const stubborn = defineTask({
    name: 'stubborn',
    async run (_payload, { signal }) {
      begun.open()
      await stopped.opened
      signal.throwIfAborted()
    }
  })
  const app = await makeRouted(t, undefined, { tasks: [echo, stubborn], concurrency: 1 })
  const remove = (id: string): Promise<LightMyRequestResponse> => app.inject({ method: 'DELETE', url: `/tasks/${id}` })
  const running = app.backgroundTasks.add(stubborn)
  const waiting = app.backgroundTasks.add(echo, 1)
  const { id } = running
  await begun.opened
  const cancelled = await remove(waiting.id)
  t.equal(cancelled.statusCode, 200)
  t.strictSame(cancelled.json(), { taskId: waiting.id, state: 'cancelled' })
  t.equal(waiting.state, 'cancelled')

  const told = await remove(id)
  t.equal(told.statusCode, 202)
  t.strictSame(told.json(), { taskId: id, state: 'running' })
  stopped.open()
  await ended(running)
  t.match((await app.inject(`/tasks/${id}`)).json(), { state: 'cancelled', error: { code: 'FST_ERR_BGT_CANCELLED' } })

  const late = await remove(id)
  t.equal(late.statusCode, 409)
  t.match(late.json(), { statusCode: 409, code: 'FST_ERR_BGT_TASK_ENDED', error: 'Conflict' })
})

await t.test('a job that is forgotten between the two questions of a DELETE is a 404', async t => {
  const app = await makeRouted(t, undefined, { adapter: knowing({}) })
  isUnknown(t, await app.inject({ method: 'DELETE', url: `/tasks/${UNKNOWN}` }))
})

await t.test('reply.accepted answers 202, and says where the status is', async t => {
  const app = await makeRouted(t, { prefix: '/tasks', public: true }, { adapter: memory() })
  app.post('/add', { schema: { response: { 202: exported.taskAccepted } } }, async (request, reply) => reply.accepted(request.backgroundTasks.add(echo, { n: 1 })))
  app.post('/enqueue', async (request, reply) => reply.accepted(await request.backgroundTasks.enqueue(echo, { n: 2 })))
  app.post('/sync', (request, reply) => { reply.accepted(request.backgroundTasks.add(echo, { n: 3 })) })
  await startWorker(app)
  for (const [path, n] of [['/add', 1], ['/enqueue', 2], ['/sync', 3]] as const) {
    const response = await app.inject({ method: 'POST', url: path })
    t.equal(response.statusCode, 202)
    const { taskId, ...rest } = response.json<{ taskId: string }>()
    t.strictSame(rest, {})
    t.equal(response.headers.location, `/tasks/${taskId}`)
    let status: { state: string }
    do {
      await setImmediate()
      status = (await app.inject(String(response.headers.location))).json()
    } while (status.state !== 'completed')
    t.match(status, { taskId, task: 'echo', attempts: 1, result: { n } })
  }
})

await t.test('reply.accepted refuses what has no status', async t => {
  const app = await makeRouted(t)
  const given: unknown[] = [app.backgroundTasks.add(() => {}), app.backgroundTasks.add({ name: 'loose' }, () => {}), null, undefined, 'id', {}, { id: 1 }]
  let next: unknown
  app.post('/', async (_request, reply) => reply.accepted(next as TaskHandle))
  for (next of given) {
    const response = await app.inject({ method: 'POST', url: '/' })
    t.equal(response.statusCode, 500)
    t.match(response.json(), { code: 'FST_ERR_BGT_INVALID_TASK', message: /^Invalid task: reply\.accepted expects what "enqueue" resolved with, or what "add" returned for a task made by defineTask, got / })
  }
})

await t.test('the routes are where the scope and the prefix say', async t => {
  const places: [scope: string, prefix: string | undefined, home: string][] = [
    ['', '/tasks', '/tasks/'],
    ['', 'tasks', '/tasks/'],
    ['', '/tasks/', '/tasks/'],
    ['', undefined, '/'],
    ['/api', '/tasks', '/api/tasks/'],
    ['/api/', '/v1/tasks', '/api/v1/tasks/'],
    ['/api', undefined, '/api/']
  ]
  for (const [parent, prefix, home] of places) {
    const app = await makeApp(t, { tasks: [echo] })
    await app.register(async scope => {
      await scope.register(taskRoutes, { public: true, ...(prefix !== undefined && { prefix }) })
      scope.post('/do/it', async (request, reply) => reply.accepted(request.backgroundTasks.add(echo, home)))
    }, { prefix: parent })
    const accepted = await app.inject({ method: 'POST', url: `${parent.replace(/\/$/, '')}/do/it` })
    await app.backgroundTasks.idle()
    t.equal(accepted.headers.location, home + accepted.json<{ taskId: string }>().taskId)
    t.match((await app.inject(String(accepted.headers.location))).json(), { result: home })
    t.notOk(app.hasReplyDecorator('accepted'), 'a scope that has them keeps them')
  }
})

await t.test('sibling scopes may each have their own, for users of different rights', async t => {
  const app = await makeApp(t, { tasks: [echo] })
  for (const [prefix, allowed] of [['/admin', true], ['/user', false]] as const) {
    await app.register(async scope => {
      await scope.register(taskRoutes, { prefix: '/tasks', authorize: () => allowed })
    }, { prefix })
  }
  const id = await ended(app.backgroundTasks.add(echo, 1))
  t.equal((await app.inject(`/admin/tasks/${id}`)).statusCode, 200)
  t.equal((await app.inject(`/user/tasks/${id}`)).statusCode, 404)
})

await t.test('hooks and options of the application hold for the routes too', async t => {
  const app = await makeApp(t, { tasks: [echo] })
  const routes: string[] = []
  app.addHook('onRoute', ({ method, url, logLevel }) => { routes.push(`${String(method)} ${url} ${logLevel}`) })
  app.addHook('onRequest', async (request, reply) => {
    if (request.headers.authorization === undefined) await reply.code(401).send()
  })
  await app.register(taskRoutes, { prefix: '/tasks', public: true, logLevel: 'error' })
  t.strictSame(routes, ['GET /tasks/:id error', 'HEAD /tasks/:id error', 'DELETE /tasks/:id error'])
  t.equal((await app.inject(`/tasks/${UNKNOWN}`)).statusCode, 401)
  isUnknown(t, await app.inject({ url: `/tasks/${UNKNOWN}`, headers: { authorization: 'yes' } }))
})

await t.test('an application that compiles other schemas than JSON Schema has them all the same', async t => {
  const app = await makeApp(t, { tasks: [echo] })
  const compiled: unknown[] = []
  app.setValidatorCompiler(({ schema }) => {
    compiled.push(schema)
    return () => true
  })
  app.setSerializerCompiler(({ schema }) => {
    compiled.push(schema)
    return () => 'own'
  })
  await app.register(taskRoutes, { public: true })
  const [params, response] = [{ own: 'params' }, { own: 'response' }]
  app.get('/own/:a', { schema: { params, response: { 200: response } }, exposeHeadRoute: false }, async () => ({}))
  const id = await ended(app.backgroundTasks.add(echo, [1]))
  t.match((await app.inject(`/${id}`)).json(), { result: [1] })
  t.equal((await app.inject('/own/1')).body, 'own')
  t.strictSame(new Set(compiled), new Set([response, params]))
})

await t.test('@fastify/swagger shows them', async t => {
  for (const openapi of ['3.0.3', '3.1.0']) {
    const app = await makeApp(t, { tasks: [echo] })
    await app.register(swagger, { openapi: { openapi } })
    await app.register(taskRoutes, { prefix: '/tasks', public: true })
    app.post('/reports', { schema: { response: { 202: exported.taskAccepted } } }, async (request, reply) => reply.accepted(request.backgroundTasks.add(echo, 1)))
    await app.ready()
    const { paths } = app.swagger() as unknown as { paths: Record<string, Record<string, { summary: string, parameters: unknown, responses: Record<string, { description: string, content?: Record<string, { schema: { properties: object, required: string[] } }> }> }>> }
    const { get, delete: remove, head } = paths['/tasks/{id}']!
    t.equal(head, undefined)
    t.match(get!.summary, 'Status of a background task')
    t.match(get!.parameters, [{ in: 'path', name: 'id', required: true, schema: { type: 'string', format: 'uuid' } }])
    t.strictSame(Object.keys(get!.responses), ['200', '304', '404', '503'])
    t.equal(get!.responses['304']!.content, undefined)
    const { properties, required } = get!.responses['200']!.content!['application/json']!.schema
    t.strictSame(Object.keys(properties), ['taskId', 'task', 'state', 'attempts', 'progress', 'result', 'error', 'enqueuedAt', 'startedAt', 'endedAt'])
    t.strictSame(required, ['taskId', 'task', 'state', 'attempts', 'enqueuedAt'])
    t.match(properties, { taskId: { type: 'string', format: 'uuid' }, state: { type: 'string', enum: ['pending', 'scheduled', 'running', 'retrying', 'completed', 'failed', 'skipped', 'cancelled', 'lost'] } })
    t.strictSame(Object.keys(remove!.responses), ['200', '202', '404', '409', '503'])
    t.match(remove!.responses['202']!.content!['application/json']!.schema.properties, { state: { enum: ['running'] } })
    t.match(paths['/reports']!.post!.responses['202']!.content!['application/json']!.schema.properties, { taskId: { type: 'string' } })
  }
})
