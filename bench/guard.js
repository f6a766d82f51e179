// Fails when a request costs more than it did, against bare Fastify: instructions, which do not depend on how busy
// the machine is, counted by valgrind's callgrind and compared with baseline.json.
//   npm run bench:guard [-- --record]
import { readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { hasCallgrind, measureInstructions } from './lib/callgrind.js'
import { about, round } from './lib/report.js'

const baselineFile = new URL('baseline.json', import.meta.url)

const PROCESSES = 2

/** `tolerance` is in points above the baseline; runs of the same code differ by less than half of it. */
const cases = [
  { what: 'no task', method: 'GET', count: 0, tolerance: 1 },
  { what: '1 task', method: 'POST', count: 1, tolerance: 2 }
]

const { values: { record } } = parseArgs({ options: { record: { type: 'boolean', default: false } } })

if (!hasCallgrind) {
  console.error('valgrind is not installed, so nothing was counted and nothing is guarded ' +
    '(Debian: apt-get install valgrind)')
  process.exit(2)
}

const ratios = await Promise.all(cases.map(async ({ what, method, count }) => {
  const candidates = [{ method, way: 'bare', count: 0 }, { method, way: 'plugin', count }]
  const processes = await measureInstructions(candidates, PROCESSES)
  const [bare, plugin] = processes.map(counts => Math.min(...counts))
  console.log(`${method}, ${what}: ${Math.round(plugin)} instructions a request, bare Fastify ${Math.round(bare)}`)
  return round(plugin / bare, 4)
}))

if (record) {
  const recorded = Object.fromEntries(cases.map(({ what }, index) => [what, ratios[index]]))
  writeFileSync(baselineFile, JSON.stringify({ ...about(), ratios: recorded }, null, 2) + '\n')
  console.log(`recorded: ${JSON.stringify(recorded)} times bare Fastify`)
} else {
  const { node, fastify, ratios: recorded } = JSON.parse(readFileSync(baselineFile, 'utf8'))
  const now = about()
  console.log(`The baseline was recorded with Node ${node} and Fastify ${fastify}; ` +
    `these are ${now.node} and ${now.fastify}`)
  for (const [index, { what, tolerance }] of cases.entries()) {
    const points = round((ratios[index] - recorded[what]) * 100, 2)
    const isWithin = points <= tolerance
    if (!isWithin) process.exitCode = 1
    console.log(`${isWithin ? 'ok    ' : 'NOT OK'}  ${what}: ${ratios[index]} times bare Fastify, ` +
      `${points} points above ${recorded[what]}, at most ${tolerance}`)
  }
}
