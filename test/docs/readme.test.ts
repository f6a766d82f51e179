import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Type } from '@sinclair/typebox'
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import t, { type Test } from 'tap'
import backgroundTasks, { defineTask } from '../../lib/index.ts'
import { hookNames } from '../../lib/task/settings.ts'
import type { Hooks, Outcome, Task } from '../../types/index.ts'
import { build } from '../helpers/build.ts'
import { Child } from '../helpers/child.ts'
import { firstExample, project, snippetsOf } from './snippets.ts'

build()

const snippets = snippetsOf('README.md')
const CLEAN = { code: 0, signal: null }
const AsyncFunction = (async () => {}).constructor as new (...source: string[]) => (...args: unknown[]) => Promise<unknown>

/** Runs a snippet that is no program of its own, where all that it takes from the page around it is in `context`. */
async function run (code: string, context: object): Promise<unknown> {
  return await new AsyncFunction(...Object.keys(context), code)(...Object.values(context) as unknown[])
}

interface User { email: string }

const mail = defineTask({ name: 'mail', payload: Type.Object({ to: Type.String() }), run: ({ to }) => `mail to ${to}` })
const user: User = { email: 'ada@example.org' }

async function started (t: Test, options: object = {}): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(backgroundTasks, options)
  return app
}

/** Runs a snippet in a handler, and then what the request has added. */
async function inHandler (app: FastifyInstance, work: (request: FastifyRequest) => Promise<unknown>): Promise<number> {
  app.post('/', async request => {
    await work(request)
    return 'done'
  })
  const { statusCode } = await app.inject({ method: 'POST', url: '/' })
  await app.backgroundTasks.idle()
  return statusCode
}

/** A test for every snippet, by the heading that it stands below. */
const tests: Record<string, (t: Test, code: string) => Promise<void>> = {
  async 'fastify-background-tasks' (t) {
    const folder = project(t, { 'app.js': firstExample() })
    const child = new Child(t, 'app.js', [], { PORT: '0' }, folder)
    const [, url] = await child.line(/Server listening at (http:\/\/127\.0\.0\.1:\d+)/)
    const headers = { 'content-type': 'application/json' }
    const response = await fetch(`${url}/users`, { method: 'POST', headers, body: JSON.stringify(user) })
    t.equal(response.status, 201)
    await child.line(/^welcome, ada@example.org$/)
    child.terminate()
    t.strictSame(await child.exit, CLEAN)
    t.notMatch(child.lines.join('\n'), /nothing in this process listens/)
  },

  async 'Install' (t, code) {
    const folder = project(t, {
      'app.cjs': `const app = require('fastify')()\n${code}app.ready().then(() => console.log(typeof app.backgroundTasks.add))`
    })
    const child = new Child(t, 'app.cjs', [], {}, folder)
    t.strictSame(await child.exit, CLEAN, { lines: child.lines })
    t.equal(child.lines.at(-1), 'function')
  },

  async 'Queues' (t, code) {
    const folder = project(t, {
      'app.js': `
        import { Type } from '@sinclair/typebox'
        import Fastify from 'fastify'
        import backgroundTasks, { defineTask } from 'fastify-background-tasks'
        const payload = Type.Object({ to: Type.String() })
        const welcomeMail = defineTask({ name: 'welcome-mail', payload, run ({ to }) { console.log('mail to ' + to) } })
        const app = Fastify()
        async function createUser ({ email }) { return { email } }
        ${code}
        const { statusCode } = await app.inject({ method: 'POST', url: '/users', payload: { email: 'ada@example.org' } })
        console.log(statusCode)
        await app.backgroundTasks.work()
        process.once('SIGTERM', () => app.close())`
    })
    const child = new Child(t, 'app.js', [], {}, folder)
    await child.line(/^201$/)
    await child.line(/^mail to ada@example.org$/)
    child.terminate()
    t.strictSame(await child.exit, CLEAN)
  },

  async 'Adding tasks' (t, code) {
    const app = Fastify()
    t.teardown(() => app.close())
    const before = await started(t)
    // The snippet registers in its midst what its last line uses.
    const request = { get backgroundTasks () { return (app.hasDecorator('backgroundTasks') ? app : before).backgroundTasks } }
    const calls: unknown[] = []
    const makeThumbnail = async (file: string, { signal, log }: { signal: AbortSignal, log: object }): Promise<void> => {
      calls.push([file, signal.aborted, 'info' in log])
    }
    const sendWelcomeMail = (email: string): void => { calls.push([email]) }
    await run(code, { request, user, file: 'cat.png', app, backgroundTasks, defineTask, Type, sendWelcomeMail, makeThumbnail })
    await before.backgroundTasks.idle()
    await app.backgroundTasks.idle()
    t.strictSame(calls, [[user.email], ['cat.png', false, true]])
    t.match(app.backgroundTasks.stats(), { added: 1, completed: 1 })
  },

  async 'The handle' (t, code) {
    const app = await started(t, { tasks: [mail] })
    const outcome = await run(`${code}\nreturn outcome`, { request: app, welcomeMail: mail, user }) as Outcome
    t.match(outcome, { state: 'cancelled', attempts: 0 })
    const kept = await run(`${code.replace(/^handle\.cancel.*\n/m, '')}\nreturn outcome`, { request: app, welcomeMail: mail, user })
    t.strictSame(kept, { state: 'completed', attempts: 1, result: 'mail to ada@example.org' })
  },

  async 'Options' (t, code) {
    const app = Fastify()
    t.teardown(() => app.close())
    await run(code, { app, backgroundTasks, welcomeMail: mail })
    t.equal(await app.backgroundTasks.add(mail, { to: 'ada' }).settled.then(({ state }) => state), 'completed')
  },

  async 'Hooks' (t, code) {
    const app = Fastify()
    let hooks: Hooks = {}
    await run(code, { app: { register: async (_plugin: unknown, options: { hooks: Hooks }) => { ({ hooks } = options) } }, backgroundTasks })
    t.strictSame(Object.keys(hooks).sort(), [...hookNames, 'onStartup', 'onShutdown'].sort())
    await run(code, { app, backgroundTasks })
    await app.ready()
    await app.backgroundTasks.add(() => {}).settled
    await app.close()
  },

  async 'Dependencies' (t, code) {
    const app = await started(t)
    app.decorateRequest('user')
    app.addHook('onRequest', async request => { Object.assign(request, { user: { id: 42 } }) })
    const lines: unknown[] = []
    await run(code, { app, writeAuditLine: (...line: unknown[]) => { lines.push(line) } })
    t.equal(await inHandler(app, async () => {}), 200)
    t.strictSame(lines, [['seen', 42]])
  },

  async 'Transactions: commit first, then add' (t, code) {
    const app = await started(t)
    const steps: string[] = []
    const context = {
      db: {
        async transaction (work: (tx: object) => Promise<unknown>) {
          const result = await work({})
          steps.push('commit')
          return result
        }
      },
      createOrder: async () => ({ id: 7 }),
      confirmOrder: (id: number) => { steps.push(`confirm ${id}`) }
    }
    t.equal(await inHandler(app, request => run(code, { ...context, request })), 200)
    t.strictSame(steps, ['commit', 'confirm 7'])
  },

  async 'Clean up in any case' (t, code) {
    const app = await started(t)
    const path = join(t.testdir(), 'upload')
    await writeFile(path, '')
    const status = await inHandler(app, async request => {
      await run(code, { request, rm, path })
      throw new Error('refused')
    })
    t.equal(status, 500)
    await t.rejects(rm(path), { code: 'ENOENT' })
  },

  async 'CPU work' (t, code) {
    const app = await started(t)
    const calls: unknown[] = []
    const pool = { run: async (input: object, { signal }: { signal: AbortSignal }) => { calls.push([input, signal.aborted]) } }
    t.equal(await inHandler(app, request => run(code, { request, pool, path: 'cat.png' })), 200)
    t.strictSame(calls, [[{ path: 'cat.png' }, false]])
  },

  async 'Save what was lost' (t, code) {
    const saved: unknown[] = []
    const db = { query: async (_text: string, values: unknown[]) => { saved.push(values) } }
    const options = await run(`return { ${code} }`, { db }) as object
    const app = await started(t, { ...options, tasks: [mail], maxPending: 1, overflow: 'drop' })
    app.backgroundTasks.add(mail as Task<{ to: string }>, { to: 'ada' })
    const { id } = app.backgroundTasks.add(mail as Task<{ to: string }>, { to: 'alan' })
    t.strictSame(saved, [[id, 'mail', { to: 'alan' }]])
  },

  async 'Testing' (t, code) {
    const app = await started(t)
    app.post('/users', async request => {
      request.backgroundTasks.add(() => {})
      return 'done'
    })
    await run(code, { app, email: user.email })
    t.match(app.backgroundTasks.stats(), { completed: 1, pending: 0, running: 0 })
  }
}

t.strictSame(snippets.map(({ heading }) => heading), Object.keys(tests), 'there is a test for every snippet')

for (const { heading, code } of snippets) {
  await t.test(heading, t => tests[heading]!(t, code))
}
