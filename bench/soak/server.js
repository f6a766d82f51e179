// The server of soak.js, in a process of its own, so that its memory is its own.
import { createServer } from 'node:http2'
import { setTimeout } from 'node:timers/promises'
import { Readable } from 'node:stream'
import backgroundTasks from 'fastify-background-tasks'
import Fastify from 'fastify'
import { Books } from './books.js'
import { Dice } from './dice.js'
import { PATIENCE, Sink } from './sink.js'
import { Tasks } from './tasks.js'

const books = new Books()
const complaints = []
process.on('warning', ({ name, message }) => complaints.push(`warning: ${name}: ${message}`))
process.on('unhandledRejection', reason => complaints.push(`unhandledRejection: ${reason?.stack ?? reason}`))
process.on('uncaughtException', error => complaints.push(`uncaughtException: ${error?.stack ?? error}`))

const app = Fastify({ logger: { level: 'warn', stream: { write: line => readLog(line) } } })
const sink = new Sink()
const tasks = new Tasks(app, books, sink)

function readLog (line) {
  const { msg, err } = JSON.parse(line)
  if (msg === 'background task could not be handed over to the queue') sink.fail(err)
  books.logged[msg] = (books.logged[msg] ?? 0) + 1
}

function hook (count) {
  return event => {
    books.look(app.backgroundTasks.stats())
    count(event)
  }
}

await app.register(backgroundTasks, {
  concurrency: 16,
  maxPending: 1_000,
  overflow: 'drop',
  abortGrace: 20,
  tasks: tasks.defined,
  adapter: sink,
  enqueueTimeout: PATIENCE,
  // What it knows is not what is measured here.
  status: { max: 100 },
  hooks: {
    onTaskStart: hook(() => books.attempts.hooked++),
    onTaskCompleted: hook(() => books.hooked.completed++),
    onTaskFailed: hook(() => books.hooked.failed++),
    onTaskRetry: hook(() => books.hooked.retried++),
    onTaskSkipped: hook(() => books.hooked.skipped++),
    onTaskLost: hook(({ reason }) => {
      books.hooked.lost++
      books.lostBy[reason]++
    })
  }
})

async function * chunks () {
  for (let n = 0; n < 10; n++) {
    yield Buffer.alloc(4_096, 'x')
    await setTimeout(1)
  }
}

const endings = {
  now: () => 'answered',
  soon: async ({ dice }) => {
    await setTimeout(dice.below(10))
    return 'answered'
  },
  throw: () => { throw new Error('a handler fails') },
  forgive: () => { throw Object.assign(new Error('a handler fails'), { forgiven: true }) },
  nothing: (_request, reply) => reply.code(204).send(),
  elsewhere: (_request, reply) => reply.redirect('/somewhere'),
  hijack: (_request, reply) => {
    reply.hijack()
    reply.raw.end('answered')
  },
  large: () => Buffer.alloc(100_000, 'x'),
  stream: (_request, reply) => reply.send(Readable.from(chunks())),
  never: () => new Promise(() => {})
}

app.decorateRequest('dice', null)
app.addHook('onRequest', async request => { request.dice = new Dice(Number(request.query.seed)) })
app.addHook('onSend', async request => {
  if (request.dice.chance(0.1)) tasks.addSome(request.backgroundTasks, request.dice)
})
app.setErrorHandler((error, request, reply) => {
  if (request.dice.chance(0.2)) tasks.addSome(request.backgroundTasks, request.dice)
  reply.code(error.forgiven ? 200 : error.statusCode ?? 500).send(error.message)
})

app.route({
  method: ['GET', 'POST'],
  url: '/:ending',
  preHandler: async request => {
    const { dice } = request
    if (dice.chance(0.2)) tasks.addSome(request.backgroundTasks, dice)
    if (dice.chance(0.05)) tasks.addSome(app.backgroundTasks, dice)
  },
  handler: (request, reply) => {
    const { dice } = request
    tasks.addSome(request.backgroundTasks, dice)
    if (dice.chance(0.1)) tasks.addLate(request.backgroundTasks, dice)
    return endings[request.params.ending](request, reply)
  }
})

const looks = setInterval(() => books.look(app.backgroundTasks.stats(), books.added), 2)

const memory = []
const samples = setInterval(() => {
  global.gc()
  const { rss, heapUsed } = process.memoryUsage()
  memory.push({ rss, heapUsed })
}, 200)

async function stop () {
  clearInterval(samples)
  const dice = new Dice(0)
  for (let n = 0; n < 50; n++) tasks.addSome(app.backgroundTasks, dice)
  const before = app.backgroundTasks.stats()
  const start = performance.now()
  for (const session of sessions) session.destroy()
  http2.close()
  await app.close()
  const closed = performance.now() - start
  for (let n = 0; n < 50; n++) tasks.addSome(app.backgroundTasks, dice)
  // Late adds, and functions that went on after their timeout.
  while (tasks.open > 0 || app.backgroundTasks.stats().abandoned > 0) await setTimeout(1)
  clearInterval(looks)
  const stats = app.backgroundTasks.stats()
  books.look(stats, books.added)
  process.off('disconnect', leave)
  const { wrong, strays, doubtful, calls } = sink
  const queue = { wrong, strays, doubtful: doubtful.size, calls }
  process.send({ stats, before, closed, books, queue, memory, complaints }, () => process.disconnect())
}

/** The one who started this has gone. */
function leave () {
  process.exit(1)
}

process.once('disconnect', leave)
process.once('SIGTERM', stop)
// Windows has no signals.
process.once('message', stop)

await app.listen({ host: '127.0.0.1', port: 0 })
// The same application for HTTP/2, on a port of its own.
const sessions = new Set()
const http2 = createServer((request, response) => app.routing(request, response))
http2.on('session', session => {
  sessions.add(session)
  session.on('error', () => {})
  session.once('close', () => sessions.delete(session))
})
http2.listen(0, '127.0.0.1', () => {
  process.send({ port: app.server.address().port, http2Port: http2.address().port })
})
