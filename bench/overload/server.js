/** One way in a process of its own, told what to do over IPC by lib/server-process.js. */
import { setTimeout as delay } from 'node:timers/promises'
import Fastify from 'fastify'
import { ways } from './ways.js'

const { way, task: { cpu = 0, wait = 0, count }, concurrency, maxPending } = JSON.parse(process.argv[2])

/** Tasks do nothing until the first measurement, so that what warms up is the way and not the work. */
let isWarm = false
let from = Infinity
let to = Infinity
const tasks = { added: 0, ended: 0, endedInTime: 0, mostWaiting: 0, lostBefore: 0 }

async function task () {
  if (isWarm) await work()
  tasks.ended++
  const now = Date.now()
  if (now >= from && now < to) tasks.endedInTime++
}

function work () {
  if (wait > 0) return delay(wait)
  const end = performance.now() + cpu
  while (performance.now() < end);
}

const app = Fastify({ logger: false })
const leave = ways[way](app, { concurrency, maxPending })
const schema = { response: { 200: { type: 'object', properties: { ok: { type: 'boolean' } } } } }
app.post('/', { schema }, async (request, reply) => {
  const left = leave(request, reply, task, count)
  if (way !== 'bare') tasks.added += count
  tasks.mostWaiting = Math.max(tasks.mostWaiting, tasks.added - tasks.ended - lost())
  await left
  return { ok: true }
})
// Node's default of 511 would drop connections while a way starves the event loop, and blame it for the resends.
await app.listen({ port: 0, host: '127.0.0.1', backlog: 4096 })

function lost () {
  return app.backgroundTasks?.stats().lost ?? 0
}

const commands = {
  watch (start, end) {
    isWarm = true
    from = start
    to = end
    tasks.mostWaiting = 0
    tasks.lostBefore = lost()
  },
  report: () => ({
    tasksInTime: tasks.endedInTime,
    mostWaiting: tasks.mostWaiting,
    lost: lost() - tasks.lostBefore,
    peakMemory: process.resourceUsage().maxRSS * 1024
  })
}

process.on('message', ({ command: [name, ...args] }) => {
  process.send({ answer: commands[name](...args) ?? null })
})
process.send({ port: app.server.address().port })
