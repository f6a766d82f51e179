// Prints how many bytes of heap a pending task takes.
import { devNull } from 'node:os'
import { setImmediate } from 'node:timers/promises'
import { Type } from '@sinclair/typebox'
import Fastify from 'fastify'
import backgroundTasks, { defineTask } from '../../dist/lib/index.js'

const { way, count, defined = false, logged = false } = JSON.parse(process.argv[2])

/** Enough for V8 to have compiled and learned what it will. */
const WARM_UP = 5_000

const task = defineTask({ name: 'defined', payload: Type.Object({ id: Type.Number() }), run () {} })
const app = Fastify({ logger: logged && { level: 'info', file: devNull } })
await app.register(backgroundTasks, { concurrency: 1, maxPending: count + WARM_UP + 1, tasks: [task] })
let perRequest = 1
app.post('/', async request => {
  for (let i = 0; i < perRequest; i++) addTo(request.backgroundTasks, i)
  return { ok: true }
})
await app.ready()
app.backgroundTasks.add({ name: 'blocker', timeout: 0 }, () => new Promise(() => {}))

/** The user's own: a closure with a variable of its own, and an argument. */
function own (i) {
  return { fn: defined ? task : async ({ id }) => i + id, args: [{ id: i }] }
}

function addTo (tasks, i) {
  const { fn, args } = own(i)
  tasks.add(fn, ...args)
}

const held = []

const ways = {
  own: count => { held.push(Array.from({ length: count }, (_, i) => own(i))) },
  oneRequest: async count => {
    perRequest = count
    await app.inject({ method: 'POST', url: '/' })
  },
  requests: async count => {
    for (let i = 0; i < count; i++) {
      await app.inject({ method: 'POST', url: '/' })
      // The log's stream writes in a turn of the event loop. Lines that are not written yet are no cost of a task.
      await setImmediate()
    }
  },
  service: count => { for (let i = 0; i < count; i++) addTo(app.backgroundTasks, i) }
}

async function heapUsed () {
  for (let turn = 0; turn < 5; turn++) {
    await setImmediate()
    globalThis.gc()
  }
  return process.memoryUsage().heapUsed
}

await ways[way](WARM_UP)
const before = await heapUsed()
await ways[way](count)
const after = await heapUsed()

const { pending, running } = app.backgroundTasks.stats()
const expected = way === 'own' ? 0 : count + WARM_UP
if (running !== 1 || pending !== expected) throw new Error(`${running} running, ${pending} pending`)
console.log(JSON.stringify({ bytes: (after - before) / count, kept: held.length }))
process.exit()
