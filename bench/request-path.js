// What a request costs: CPU time of the server process, against bare Fastify in the same round, and
// instructions where valgrind is installed (npm run bench -- --instructions).
import { cpus } from 'node:os'
import { countInstructions, hasCallgrind } from './lib/callgrind.js'
import { cpuTimes } from './lib/cpu-time.js'
import { median, ratios } from './lib/statistics.js'

const load = { rounds: 15, requests: 3_000, warmUp: 15_000, connections: 16 }

const candidates = [
  { method: 'GET', way: 'bare', count: 0 },
  { method: 'GET', way: 'plugin', count: 0 },
  { method: 'POST', way: 'bare', count: 0 },
  ...[1, 3, 10].flatMap(count => ['plugin', 'setImmediate', 'finish', 'onResponse'].map(way => ({ method: 'POST', way, count })))
].map(candidate => ({ ...candidate, logged: process.argv.includes('--logged') }))

console.log(`Node ${process.version}, ${cpus().length} x ${cpus()[0].model.trim()}, ${load.rounds} interleaved rounds of ${load.requests} requests over ${load.connections} connections\n`)
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
  const times = await cpuTimes(candidates, load)
  console.log('| request | tasks | way | CPU us | against bare: median (quartiles) |\n| --- | --- | --- | --- | --- |')
  for (const [index, { method, way, count }] of candidates.entries()) {
    const bare = candidates.findIndex(candidate => candidate.way === 'bare' && candidate.method === method)
    const { median: middle, low, high } = ratios(times[index], times[bare])
    console.log(`| ${method} | ${count} | ${way} | ${median(times[index]).toFixed(1)} | ${middle.toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)}) |`)
  }
}
