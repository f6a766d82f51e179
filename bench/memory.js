import { fileURLToPath } from 'node:url'
import { limit, runChild } from './lib/child.js'
import { openConnections } from './lib/closed-loop.js'
import { judge, round, roundAll } from './lib/report.js'
import { startServer } from './lib/server-process.js'
import { median, spread } from './lib/statistics.js'

const PROCESSES = 2
const PENDING = 100_000
const REQUESTS = 1_000

const pending = fileURLToPath(new URL('memory/pending.js', import.meta.url))
const retention = fileURLToPath(new URL('memory/retention.js', import.meta.url))

const candidates = {
  'many functions in one request': { way: 'oneRequest' },
  'a function a request, logger off': { way: 'requests' },
  'a function a request, logger on': { way: 'requests', logged: true },
  'a function outside of requests': { way: 'service' },
  'a defined task a request, logger off': { way: 'requests', defined: true },
  'a defined task outside of requests': { way: 'service', defined: true }
}

export async function measure () {
  const [ownFunction, ownPayload] = await Promise.all([false, true].map(defined => bytesEach({ way: 'own', defined })))
  const figures = await Promise.all(Object.entries(candidates).map(async ([what, candidate]) => {
    const own = candidate.defined ? ownPayload : ownFunction
    const bytes = await bytesEach(candidate)
    const above = roundAll(spread(bytes.map((bytes, run) => bytes - own[run])), 0)
    return { what, bytes: round(median(bytes), 0), own: round(median(own), 0), above }
  }))
  const retained = []
  for (const way of ['plugin', 'capturing']) retained.push({ way, ...await countRetained(way) })
  const [byPlugin, byClosures] = retained
  if (byClosures.retained < REQUESTS) {
    throw new Error('requests that tasks capture are collected: retention is not measured')
  }
  return {
    file: 'memory',
    title: `Memory: heap bytes a pending task, ${PENDING.toLocaleString('en')} pending, ` +
      `median of ${PROCESSES} processes`,
    columns: ['pending', 'bytes', "the user's own function, arguments or payload", 'above it: median', 'middle half'],
    rows: figures.map(({ what, bytes, own, above: { median, low, high } }) =>
      [what, bytes, own, median, `${low} to ${high}`]),
    targets: [
      ...figures.map(({ what, above }) =>
        judge({ what, measured: above, limit: candidates[what].logged ? 500 : 250, digits: 0, unit: ' bytes' })),
      judge({
        what: `requests or replies still in memory after ${REQUESTS} responses over sockets, whose ` +
          `${byPlugin.pending} tasks wait (${byClosures.retained} where tasks capture the request)`,
        measured: byPlugin.retained,
        limit: 0,
        digits: 0
      })
    ],
    figures: { pending: figures, retained }
  }
}

/** Bytes of heap an item, process by process. */
function bytesEach (candidate) {
  return Promise.all(Array.from({ length: PROCESSES }, async () => {
    const { bytes } = await limit(runChild, pending, { ...candidate, count: PENDING }, ['--expose-gc'])
    return bytes
  }))
}

/** Requests of which the garbage collector leaves the request, the reply or their raw ones while their tasks wait. */
async function countRetained (way) {
  const server = await startServer({ way }, { script: retention, execArgv: ['--expose-gc'] })
  const load = await openConnections(server.port, 4)
  await load.send('POST', REQUESTS)
  const answer = await server.ask('retained')
  load.close()
  server.kill()
  return answer
}
