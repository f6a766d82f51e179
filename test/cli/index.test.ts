import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import type { Task } from '../../types/index.ts'
import { build } from '../helpers/build.ts'
import { Child, root } from '../helpers/child.ts'
import { becomes } from '../helpers/jobs.ts'

build()

const CLI = 'dist/lib/cli/index.js'
const APP = 'test/fixtures/worker-app.js'

interface Producer {
  readonly app: FastifyInstance
  readonly tasks: { brief: Task<{ n: number }>, long: Task<{ obeys: boolean }>, careless: Task<undefined> }
  readonly env: NodeJS.ProcessEnv
  /** What jobs have noted, in the order of their numbers. */
  ran (): number[]
}

/** This process enqueues, with the application that the workers have. */
async function makeProducer (t: Test): Promise<Producer> {
  const folder = t.testdir({ ran: '' })
  const env = { QUEUE: join(folder, 'queue.db'), RAN: join(folder, 'ran') }
  Object.assign(process.env, env)
  const module = await import(`${join(root, APP)}?${folder}`) as { default: (app: FastifyInstance) => Promise<void>, tasks: Producer['tasks'] }
  const app = Fastify()
  t.teardown(() => app.close())
  await module.default(app)
  await app.ready()
  return {
    app,
    tasks: module.tasks,
    env,
    ran: () => readFileSync(env.RAN, 'utf8').split('\n').filter(line => line !== '').map(Number).sort((a, b) => a - b)
  }
}

async function startWorker (t: Test, env: NodeJS.ProcessEnv, ...options: string[]): Promise<Child> {
  const worker = new Child(t, CLI, ['worker', APP, ...options], env)
  await worker.line(/background task worker started/)
  return worker
}

const CLEAN = { code: 0, signal: null }

await t.test('the command itself', async t => {
  const exited: unknown[] = []
  t.intercept(process, 'exit', { value: (code: number) => { exited.push(code) } })
  t.intercept(process, 'argv', { value: ['node', 'fastify-background-tasks', '--version'] })
  await import('../../lib/cli/index.ts')
  t.strictSame(exited, [0])

  const child = new Child(t, CLI, ['--help'])
  t.strictSame(await child.exit, CLEAN)
  t.match(child.lines[0], /^Usage: fastify-background-tasks worker/)
  t.match(readFileSync(join(root, CLI), 'utf8'), /^#!\/usr\/bin\/env node\n/)
})

await t.test('wrong usage ends with 2, what is no application with 1', async t => {
  const misspelt = new Child(t, CLI, ['worker', APP, '--queue', 'a'])
  t.strictSame(await misspelt.exit, { code: 2, signal: null })
  t.strictSame(misspelt.lines, ["fastify-background-tasks: Unknown option '--queue'", 'See: fastify-background-tasks --help'])

  const folder = t.testdir({ 'app.coffee': '' })
  const unknown = new Child(t, CLI, ['worker', join(folder, 'app.coffee')])
  t.strictSame(await unknown.exit, { code: 1, signal: null })
  t.match(unknown.lines.join(), /says "Unknown file extension "\.coffee" for .*app\.coffee": compile it, or load it with NODE_OPTIONS/)
})

await t.test('two workers under load, of which one is terminated: each job runs, and once', async t => {
  const { app, tasks, env, ran } = await makeProducer(t)
  const [first, second] = await Promise.all([startWorker(t, env, '--concurrency', '20'), startWorker(t, env, '--log-level', 'debug')])
  const numbers: number[] = []
  const stored: { readonly id: string }[] = []
  // The first one may be fast enough for all of them, if they are not more.
  while (numbers.length < 1_000 || !second.lines.some(line => line.includes('background task completed'))) {
    const more = Array.from({ length: 250 }, (_, n) => numbers.length + n)
    numbers.push(...more)
    stored.push(...await app.backgroundTasks.enqueueMany(tasks.brief, more.map(n => ({ n }))))
  }
  first.terminate()
  t.strictSame(await first.exit, CLEAN)
  for (const { id } of stored) await becomes(app, id, 'completed')
  second.terminate()
  t.strictSame(await second.exit, CLEAN)
  t.strictSame(ran(), numbers)
})

await t.test('a job that takes too long is given back, whether or not it obeys, and the worker ends in order', async t => {
  const { app, tasks, env } = await makeProducer(t)
  const worker = await startWorker(t, env, '--drain-timeout', '100')
  const jobs = await app.backgroundTasks.enqueueMany(tasks.long, [{ obeys: true }, { obeys: false }])
  for (const { id } of jobs) await worker.line(new RegExp(`${id}.*long began`))
  worker.terminate()
  t.strictSame(await worker.exit, CLEAN)
  for (const { id } of jobs) {
    await worker.line(new RegExp(`${id}.*background task given back to the queue`))
    t.match(await app.backgroundTasks.status(id), { state: 'pending' })
  }
})

await t.test('a second signal ends a worker that is still draining', async t => {
  const { app, tasks, env } = await makeProducer(t)
  const worker = await startWorker(t, env, '--drain-timeout', '60000')
  await app.backgroundTasks.enqueue(tasks.long, { obeys: false })
  await worker.line(/long began/)
  const again = setInterval(() => worker.terminate(), 100)
  const exit = await worker.exit
  clearInterval(again)
  t.strictSame(exit, { code: 143, signal: null })
})

await t.test('an exception that nobody catches ends the worker with 1, once its jobs have ended', async t => {
  const { app, tasks, env } = await makeProducer(t)
  const worker = await startWorker(t, env)
  const { id } = await app.backgroundTasks.enqueue(tasks.careless)
  t.strictSame(await worker.exit, { code: 1, signal: null })
  await worker.line(/"level":60.*left behind.*something was thrown that nobody caught/)
  await worker.line(/careless ended/)
  t.match(await app.backgroundTasks.status(id), { state: 'completed', attempts: 1 })
})

await t.test('TypeScript, where Node.js runs it', { skip: !('typescript' in process.features) ? `not by ${process.version}` : false }, async t => {
  const { app, tasks, env, ran } = await makeProducer(t)
  const file = join(t.testdirName, 'app.ts')
  writeFileSync(file, `import plugin from '${join(root, APP)}'
    import type { FastifyInstance } from 'fastify'
    export default async (app: FastifyInstance, options: object): Promise<void> => { await plugin(app, options) }`)
  const worker = new Child(t, CLI, ['worker', file], env)
  await worker.line(/background task worker started/)
  const { id } = await app.backgroundTasks.enqueue(tasks.brief, { n: 7 })
  await becomes(app, id, 'completed')
  t.strictSame(ran(), [7])
  worker.terminate()
  t.strictSame(await worker.exit, CLEAN)
})
