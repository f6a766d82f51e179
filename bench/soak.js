// Hammers a server with everything that can happen to requests and tasks, stops it under load, and
// checks that its books balance.
//   node bench/soak.js [--minutes 5 | --requests 20000] [--users 48] [--seed 1]
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { parseArgs } from 'node:util'
import { SUM } from './soak/books.js'
import { Users } from './soak/users.js'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '5' },
    requests: { type: 'string' },
    users: { type: 'string', default: '48' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) }
  }
})
const seed = Number(values.seed)
const limit = values.requests === undefined ? Infinity : Number(values.requests)

/** Memory may grow by this factor from the second quarter of the load to the last. */
const FLAT = 1.2
/** s. In a shorter run what V8 compiles and learns is more than any leak. */
const WARM = 30
/** ms after which a server that has not stopped is killed. */
const PATIENCE = 30_000

// A young generation that may grow does so in the first seconds, and looks like a leak.
const execArgv = ['--expose-gc', '--min-semi-space-size=16', '--max-semi-space-size=16']
const server = fork(new URL('soak/server.js', import.meta.url), { execArgv })
const exit = once(server, 'exit')
const silent = once(server, 'disconnect').then(() => [])
const [ports] = await once(server, 'message')
const told = once(server, 'message')

const users = new Users(ports, requests => { if (requests === limit) stop() })
const timer = limit === Infinity ? setTimeout(stop, Number(values.minutes) * 60_000) : undefined

function stop () {
  users.stop()
  load.seconds = (performance.now() - load.start) / 1_000
  if (process.platform === 'win32') server.send('SIGTERM')
  else server.kill('SIGTERM')
  setTimeout(() => server.kill('SIGKILL'), PATIENCE).unref()
}

console.log(`seed ${seed}`)
const load = { start: performance.now(), seconds: 0 }
await users.run(Number(values.users), seed)
clearTimeout(timer)

const [report] = await Promise.race([told, silent])
const [code, signal] = await exit
if (report === undefined) {
  console.error(`The server ended without a word, code ${code}, signal ${signal}`)
  process.exit(1)
}

const { stats, before, closed, books, queue, memory, complaints } = report
const { settled, hooked, logged, attempts } = books

function row (state, hook, line) {
  return { 'stats()': stats[state], settled: settled[state], hook, log: line }
}

function lines (message) {
  return logged[`background task ${message}`] ?? 0
}

const outcomes = {
  completed: row('completed', hooked.completed),
  failed: row('failed', hooked.failed, lines('failed')),
  skipped: row('skipped', hooked.skipped, lines('skipped') + books.quietSkips),
  cancelled: row('cancelled'),
  escalated: row('escalated', undefined, lines('escalated')),
  lost: row('lost', hooked.lost, lines('lost'))
}

/** What stays: what waits for its turn comes and goes, and was a quarter of the heap in a run of seconds. */
function least (quarter, what) {
  const length = Math.floor(memory.length / 4)
  return Math.min(...memory.slice(quarter * length, (quarter + 1) * length).map(sample => sample[what]))
}

function growth (what) {
  const [before, after] = [least(1, what), least(3, what)]
  const ratio = Number((after / before).toFixed(3))
  return { 'second quarter, MB': mega(before), 'last quarter, MB': mega(after), ratio }
}

function mega (bytes) {
  return Number((bytes / 2 ** 20).toFixed(1))
}

const memoryUsed = { rss: growth('rss'), heapUsed: growth('heapUsed') }
const sum = SUM.reduce((sum, state) => sum + stats[state], 0)

console.table({
  requests: users.requests,
  'requests a second': Math.round(users.requests / load.seconds),
  'tasks added': stats.added,
  'adds refused for their payload': books.refused,
  'jobs enqueued': stats.enqueued,
  'jobs that the queue did not take': books.enqueued.failed + lines('could not be handed over to the queue'),
  'of these may be stored': queue.doubtful,
  'calls of the queue': queue.calls,
  attempts: attempts.run,
  'attempts tried again': hooked.retried,
  'lost for want of room': books.lostBy.overflow,
  'lost, added after the end': books.lostBy.closed,
  'added again as they were lost': books.again.added,
  'refused to be added again': books.again.refused,
  'looks at stats()': books.looks,
  'waiting or running at SIGTERM': before.pending + before.running,
  'ms from SIGTERM to closed': Math.round(closed)
})
console.table(users.did)
console.table(users.received)
console.table(outcomes)
console.table(memoryUsed)

const checks = {
  'each add is counted': stats.added === books.added,
  'added is the sum of the outcomes': stats.added === sum && stats.pending === 0 && stats.running === 0,
  'it was at every look': books.wrong.length === 0,
  'all count the same outcomes': Object.values(outcomes).every(row =>
    Object.values(row).every(count => count === undefined || count === row['stats()'])),
  'all count the same attempts': attempts.run === attempts.hooked && attempts.run === attempts.settled,
  'each enqueue is counted': stats.enqueued === books.enqueued.stored,
  'what was said to be in the queue is there, and nothing else': queue.wrong.length === 0 && queue.strays === 0,
  'tasks have escalated, and jobs have failed': stats.escalated > 0 && books.enqueued.failed > 0,
  'each retry has its log line': hooked.retried === lines('failed, will be tried again'),
  // All of them end by themselves, long before drainTimeout.
  'no task is cut off by the shutdown': books.lostBy.shutdown === 0,
  'nothing goes on': stats.abandoned === 0,
  'tasks are lost that are added after the end': books.lostBy.closed > 0,
  'hooks have added again what was lost': books.again.refused > 0,
  'tasks were under way at SIGTERM': before.pending + before.running > 0,
  'memory is flat, or the run too short to tell':
    load.seconds < WARM || Object.values(memoryUsed).every(({ ratio }) => ratio <= FLAT),
  'no warning, no unhandled error': complaints.length === 0,
  'no surprise for users': users.surprises.length === 0,
  'the server exits with 0': code === 0
}
for (const [check, holds] of Object.entries(checks)) console.log(`${holds ? 'ok    ' : 'NOT OK'}  ${check}`)

const details = [...books.wrong, ...queue.wrong.slice(0, 5), ...complaints.slice(0, 5), ...users.surprises]
for (const detail of details) console.error(detail)
process.exitCode = Object.values(checks).every(Boolean) ? 0 : 1
