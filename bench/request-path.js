// What a request costs: CPU time of the server process, against bare Fastify in the same round, and
// instructions where valgrind is installed (npm run bench -- --instructions).
import { cpus } from 'node:os'
import { countInstructions, hasCallgrind } from './lib/callgrind.js'
import { openConnections } from './lib/closed-loop.js'
import { startServer } from './lib/server-process.js'

const ROUNDS = 15
const REQUESTS = 4_000
const CONNECTIONS = 16

const candidates = [
  { method: 'GET', way: 'bare', count: 0 },
  { method: 'GET', way: 'plugin', count: 0 },
  { method: 'POST', way: 'bare', count: 0 },
  ...[1, 3, 10].flatMap(count => ['plugin', 'setImmediate', 'finish', 'onResponse'].map(way => ({ method: 'POST', way, count })))
].map(candidate => ({ ...candidate, logged: process.argv.includes('--logged') }))

function bareOf ({ method }) {
  return candidates.findIndex(candidate => candidate.way === 'bare' && candidate.method === method)
}

function quantile (values, share) {
  return values.toSorted((a, b) => a - b)[Math.round((values.length - 1) * share)]
}

/** Microseconds of CPU a request, for each candidate, round by round. */
async function measureTime () {
  const servers = []
  for (const candidate of candidates) {
    const server = await startServer(candidate)
    servers.push({ server, load: await openConnections(server.port, CONNECTIONS), method: candidate.method, times: [] })
  }
  const round = async ({ server, load, method }) => {
    const { cpu: before } = await server.ask('usage')
    await load.send(method, REQUESTS)
    const { cpu: after } = await server.ask('usage')
    return (after.user + after.system - before.user - before.system) / REQUESTS
  }
  for (const entry of servers) for (let i = 0; i < 3; i++) await round(entry)
  for (let i = 0; i < ROUNDS; i++) for (const entry of servers) entry.times.push(await round(entry))
  for (const { server, load } of servers) {
    load.close()
    await server.close()
  }
  return servers.map(({ times }) => times)
}

console.log(`Node ${process.version}, ${cpus().length} x ${cpus()[0].model.trim()}, ${ROUNDS} interleaved rounds of ${REQUESTS} requests over ${CONNECTIONS} connections\n`)
if (process.argv.includes('--instructions')) {
  if (!hasCallgrind) throw new Error('valgrind is not installed')
  console.log('| request | tasks | way | instructions | against bare |\n| --- | --- | --- | --- | --- |')
  const bare = {}
  for (const candidate of candidates) {
    const { method, way, count } = candidate
    const instructions = await countInstructions(candidate, { method })
    bare[method] ??= instructions
    console.log(`| ${method} | ${count} | ${way} | ${Math.round(instructions)} | ${(instructions / bare[method]).toFixed(3)} |`)
  }
} else {
  const times = await measureTime()
  console.log('| request | tasks | way | CPU us | against bare: median (quartiles) |\n| --- | --- | --- | --- | --- |')
  for (const [index, { method, way, count }] of candidates.entries()) {
    const ratios = times[index].map((time, round) => time / times[bareOf(candidates[index])][round])
    const [low, median, high] = [0.25, 0.5, 0.75].map(share => quantile(ratios, share).toFixed(2))
    console.log(`| ${method} | ${count} | ${way} | ${quantile(times[index], 0.5).toFixed(1)} | ${median} (${low} to ${high}) |`)
  }
}
