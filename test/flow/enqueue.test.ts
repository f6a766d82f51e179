import { Type } from '@sinclair/typebox'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { defineTask, startWorker } from '../../lib/index.ts'
import { memory } from '../../lib/adapters/memory/index.ts'
import { sqlite } from '../../lib/adapters/sqlite/index.ts'
import type { QueueAdapter } from '../../types/index.ts'
import { makeApp } from '../helpers/app.ts'
import { latch } from '../helpers/latch.ts'
import { UnrulyAdapter } from '../helpers/unruly-adapter.ts'

const payload = Type.Object({ to: Type.String() })
const mail = defineTask({ name: 'mail', payload, run () {} })

/** A server, and what it takes for two processes to share a queue. */
async function serve (t: Test, adapter: QueueAdapter = memory()): Promise<{ app: FastifyInstance, url: string }> {
  const app = await makeApp(t, { adapter, tasks: [mail] })
  app.post('/mails', async (request, reply) => {
    const { id } = await request.backgroundTasks.enqueue(mail, request.body as { to: string })
    return reply.code(202).send({ id })
  })
  app.get<{ Params: { id: string } }>('/mails/:id', request => app.backgroundTasks.status(request.params.id))
  return { app, url: await app.listen({ host: '127.0.0.1', port: 0 }) }
}

async function post (url: string, body: unknown): Promise<{ status: number, body: { id: string, code: string, message: string } }> {
  const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
  return { status: response.status, body: await response.json() as { id: string, code: string, message: string } }
}

await t.test('a request enqueues, a worker runs the task, and anybody can follow it', async t => {
  const adapter = memory()
  const { url } = await serve(t, adapter)
  const ran = latch<unknown>()
  const task = defineTask({ name: 'mail', payload, run: ({ to }, { id, requestId }) => { ran.open({ to, id, requestId }) } })
  const { status, body: { id } } = await post(`${url}/mails`, { to: 'ada' })
  t.equal(status, 202)
  t.match(await (await fetch(`${url}/mails/${id}`)).json(), { id, state: 'pending' })
  await startWorker(await makeApp(t, { adapter: memory({ store: adapter.native }), tasks: [task] }))
  t.strictSame(await ran.opened, { to: 'ada', id, requestId: 'req-1' })
})

await t.test('what enqueue rejects with is an answer that a client understands', async t => {
  const adapter = new UnrulyAdapter()
  const { url } = await serve(t, adapter)
  t.match(await post(`${url}/mails`, { to: 1 }), { status: 500, body: { code: 'FST_ERR_BGT_INVALID_PAYLOAD' } })
  t.match(await post(`${url}/mails`, { to: 'x'.repeat(300_000) }), { status: 413, body: { code: 'FST_ERR_BGT_PAYLOAD_TOO_LARGE' } })
  adapter.before = () => { throw new Error('down') }
  t.match(await post(`${url}/mails`, { to: 'ada' }), { status: 503, body: { code: 'FST_ERR_BGT_QUEUE_UNAVAILABLE' } })
})

await t.test('a job is stored though the handler then throws', async t => {
  const adapter = new UnrulyAdapter()
  const app = await makeApp(t, { adapter, tasks: [mail] })
  app.post('/', async request => {
    await request.backgroundTasks.enqueue(mail, { to: 'ada' })
    throw new Error('after it')
  })
  t.equal((await app.inject({ method: 'POST', url: '/' })).statusCode, 500)
  t.match(await app.backgroundTasks.status(adapter.calls[0]!.jobs[0]!.id), { state: 'pending' })
  t.match(app.backgroundTasks.stats(), { added: 0, enqueued: 1 })
})

await t.test('close waits for a request that is enqueuing', async t => {
  const adapter = new UnrulyAdapter()
  const { app, url } = await serve(t, adapter)
  const asked = latch()
  const stored = latch()
  adapter.before = () => {
    asked.open()
    return stored.opened
  }
  const answer = post(`${url}/mails`, { to: 'ada' })
  await asked.opened
  const closed = app.close()
  stored.open()
  t.match(await answer, { status: 202 })
  await closed
})

await t.test('a burst of requests is stored in few transactions, and all of it', async t => {
  const adapter = sqlite({ file: `${t.testdir({})}/queue.db` })
  const { app, url } = await serve(t, adapter)
  const answers = await Promise.all(Array.from({ length: 200 }, (_, n) => post(`${url}/mails`, { to: `${n}` })))
  t.equal(new Set(answers.map(({ body }) => body.id)).size, 200)
  for (const { status, body: { id } } of answers) {
    t.equal(status, 202)
    t.match(await app.backgroundTasks.status(id), { id, state: 'pending' })
  }
})
