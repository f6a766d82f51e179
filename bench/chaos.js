// Kills and stops servers, workers and producers under load, steps their clocks and stores jobs that nobody can read.
// Checks that no acknowledged job is lost, and that none runs twice but for a reason.
//   node bench/chaos.js [sqlite bullmq pg-boss] [--minutes 1] [--seed 1]
// Needs redis-server, initdb and postgres in the PATH.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Scene } from './chaos/scene.js'
import { servers } from './chaos/servers.js'
import { balance } from './chaos/verdict.js'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    minutes: { type: 'string', default: '1' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) }
  }
})
const engines = positionals.length > 0 ? positionals : Object.keys(servers)
const unknown = engines.find(engine => !(engine in servers))
if (unknown !== undefined) throw new Error(`Expected ${Object.keys(servers).join(', ')}, got ${unknown}`)

// What is to be done at the exit is not done for a signal.
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))

for (const engine of engines) {
  const folder = mkdtempSync(join(tmpdir(), `chaos-${engine}-`))
  const scene = new Scene(engine, folder, Number(values.seed))
  console.log(`\n${engine}, seed ${values.seed}, ${values.minutes} minutes\n`)
  await scene.play(Number(values.minutes) * 60_000)
  const { row, problems } = balance(scene.books, scene.jobs, scene.states, scene.surprises)

  console.log(`| ${engine} | |\n| --- | ---: |`)
  for (const [name, value] of Object.entries(row)) console.log(`| ${name} | ${value} |`)
  console.log()
  for (const [problem, found] of Object.entries(problems)) {
    console.log(`${found.length === 0 ? 'ok      none' : `NOT OK  ${found.length}`}: ${problem}`)
    for (const one of found) console.error(`        ${one}`)
  }
  if (Object.values(problems).some(found => found.length > 0)) {
    console.error(`What was logged is in ${folder}`)
    process.exitCode = 1
  } else {
    rmSync(folder, { recursive: true })
  }
}
