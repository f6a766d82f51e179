// Prints what close() takes a no-op task with so many of them pending, in wall and in CPU time, round by round.
import Fastify from 'fastify'
import backgroundTasks from '../../dist/lib/index.js'

const { way, asynchronous = false, counts, rounds } = JSON.parse(process.argv[2])

const CONCURRENCY = 100

const noop = asynchronous ? async () => {} : () => {}

/** Each gives what ends its pending tasks. */
const ways = {
  async array (count) {
    const tasks = Array.from({ length: count }, (_, i) => ({ fn: noop, args: [i] }))
    return async () => {
      for (const { fn, args } of tasks) {
        try {
          await fn(...args)
        } catch {}
      }
    }
  },

  service: count => hold(count, app => {
    for (let i = 0; i < count; i++) app.backgroundTasks.add(noop)
  }),

  oneRequest: count => hold(count, app => app.inject('/'))
}

/** Tasks wait behind as many that run as may, until close() is called. */
async function hold (count, add) {
  const app = Fastify()
  const maxPending = count + CONCURRENCY
  await app.register(backgroundTasks, { concurrency: CONCURRENCY, maxPending, drainTimeout: 600_000 })
  app.get('/', async request => {
    for (let i = 0; i < count; i++) request.backgroundTasks.add(noop)
    return { ok: true }
  })
  await app.ready()

  let open
  const opened = new Promise(resolve => { open = resolve })
  for (let i = 0; i < CONCURRENCY; i++) app.backgroundTasks.add(() => opened)
  while (app.backgroundTasks.stats().running < CONCURRENCY) await new Promise(setImmediate)
  await add(app)
  const { pending } = app.backgroundTasks.stats()
  if (pending !== count) throw new Error(`${pending} pending of ${count}`)

  return async () => {
    open()
    await app.close()
    const { completed } = app.backgroundTasks.stats()
    if (completed !== count + CONCURRENCY) throw new Error(`${completed} completed of ${count + CONCURRENCY}`)
  }
}

/** Milliseconds of wall and of CPU time for one task of so many, over so many drains. */
async function time (count, drains) {
  let wall = 0
  let cpu = 0
  for (let drain = 0; drain < drains; drain++) {
    const close = await ways[way](count)
    globalThis.gc()
    const start = { wall: performance.now(), cpu: process.cpuUsage() }
    await close()
    const { user, system } = process.cpuUsage(start.cpu)
    wall += performance.now() - start.wall
    cpu += (user + system) / 1_000
  }
  return { count, wall: wall / drains / count, cpu: cpu / drains / count }
}

const least = Math.min(...counts)
await time(least, 5)
const times = []
for (let round = 0; round < rounds; round++) {
  const inRound = []
  // Short drains are repeated, or a single garbage collection would decide.
  for (const count of counts) inRound.push(await time(count, Math.ceil(Math.sqrt(Math.max(...counts) / count))))
  times.push(inRound)
}
console.log(JSON.stringify(times))
