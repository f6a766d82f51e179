// What enqueue costs against the engine's own call, and a worker against the engine's own, side by side.
//   npm run bench:queue [-- sqlite pg-boss bullmq]
// Needs Redis and PostgreSQL: REDIS_URL and DATABASE_URL, else the usual ports of this machine.
import { parseArgs } from 'node:util'
import { about, judge, print, round, roundAll, save } from './lib/report.js'
import { ratios, spread } from './lib/statistics.js'
import * as bullmq from './queue/bullmq.js'
import * as pgBoss from './queue/pg-boss.js'
import * as sqlite from './queue/sqlite.js'
import { latency, rate } from './queue/rate.js'

const engines = { sqlite, 'pg-boss': pgBoss, bullmq }

const ROUNDS = 9
/** How many operations are under way at once. */
const LOADS = [1, 10, 100]

const { positionals } = parseArgs({ allowPositionals: true })
const names = positionals.length > 0 ? positionals : Object.keys(engines)
for (const name of names) {
  if (!Object.hasOwn(engines, name)) throw new Error(`there is no ${name}, but ${Object.keys(engines).join(', ')}`)
}

const { node, machine } = about()
console.log(`Node ${node}, ${machine}, ${ROUNDS} interleaved rounds`)
for (const name of names) {
  const engine = await engines[name].open()
  const columns = ['operation', 'at once', 'engine alone, 1/s', 'ours, 1/s', 'ours / engine (middle half)']
  const result = { file: `queue-${name}`, title: name, columns, rows: [], targets: [], figures: [] }
  console.error(`${name} ...`)
  for (const inFlight of LOADS) {
    // A round is what the engine alone does in about a second.
    const count = Math.ceil(await rate(engine.raw, { inFlight, count: 200 + inFlight * 20 }))
    const rateOf = operation => () => rate(operation, { inFlight, count })
    const rates = await compare(engine, rateOf(engine.raw), rateOf(engine.ours))
    report(result, 'enqueue', inFlight, rates, engine.targets[inFlight])
  }
  if (engine.work !== undefined) {
    const { raw, ours, concurrency } = engine.work
    report(result, 'worker', concurrency, await compare(engine, raw, ours), engine.targets.worker)
  }
  if (engine.route !== undefined) {
    const load = { connections: 100, count: 4_000 }
    const times = await compare(engine, () => latency(engine.route.raw, load), () => latency(engine.route.ours, load))
    const [raw, ours] = times.map(values => round(spread(values).median, 2))
    result.rows.push(['route, p50 in ms', load.connections, raw, ours, round(ours / raw, 2)])
    result.figures.push({ operation: 'route, p50 in ms', inFlight: load.connections, raw, ours })
    result.targets.push(judge({
      what: 'p50 of a route over that of the engine alone',
      measured: ratios(times[1], times[0]),
      limit: 1 / engine.targets.route,
      digits: 3
    }))
  }
  await engine.close()
  print(result)
  save(result, `npm run bench:queue -- ${name}`)
}

/** Rounds of both in turn, each of them first in every other one, so that what else happens falls on both alike. */
async function compare (engine, raw, ours) {
  const results = [[], []]
  for (let round = 0; round <= ROUNDS; round++) {
    const turns = [...[raw, ours].entries()]
    for (const [index, run] of round % 2 === 0 ? turns : turns.reverse()) {
      const figure = await run()
      await engine.clear()
      // The first round warms up.
      if (round > 0) results[index].push(figure)
    }
  }
  return results
}

function report (result, operation, inFlight, [raw, ours], atLeast) {
  const spreadOfRatio = ratios(ours, raw)
  const [engineRate, ourRate] = [raw, ours].map(values => Math.round(spread(values).median))
  const shown = roundAll(spreadOfRatio, 2)
  result.rows.push([operation, inFlight, engineRate, ourRate, `${shown.median} (${shown.low} to ${shown.high})`])
  const { median: ratio, low, high } = roundAll(spreadOfRatio, 3)
  result.figures.push({ operation, inFlight, raw: engineRate, ours: ourRate, ratio, low, high })
  if (atLeast === undefined) return
  // The other way round, as a target is the most that something may be: the time that ours takes.
  const inverse = ratios(raw, ours)
  result.targets.push(judge({
    what: `${operation}, ${inFlight} at once: time over that of the engine alone`,
    measured: inverse,
    limit: 1 / atLeast,
    digits: 3
  }))
}
