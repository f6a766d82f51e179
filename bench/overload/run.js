import { median, quantile, ratios } from '../lib/statistics.js'
import { measureCapacity, tasksLeft } from './capacity.js'
import { measure } from './measure.js'
import { limits } from './scenarios.js'

/**
 * Measures a scenario: in each round each way has its turn at each load, so that what else the machine does
 * falls on all alike, and is compared with the bare route of the same round.
 */
export async function runScenario ({ task, loads, ways, rounds, seconds }, { isPoisson }) {
  const capacity = await measureCapacity(task)
  const rows = []
  for (const load of loads) {
    const rate = load * capacity.withTasks
    const runs = Object.fromEntries(ways.map(way => [way, []]))
    for (let round = 0; round < rounds; round++) {
      for (const way of ways) {
        process.stderr.write('.')
        runs[way].push(await measure({ way, task, ...limits }, { rate, seconds, seed: isPoisson ? round : undefined }))
      }
    }
    const left = tasksLeft(capacity, task, rate)
    for (const way of ways) rows.push(summarise({ way, load, rate }, runs[way], runs.bare, left))
  }
  process.stderr.write('\n')
  const date = new Date().toISOString().slice(0, 10)
  const arrivals = isPoisson ? 'Poisson' : 'evenly spaced'
  return { date, arrivals, capacity, task, rounds, seconds, ...limits, rows }
}

/** Medians over the rounds, and for latencies the range too. */
function summarise (row, runs, bare, left) {
  const all = key => runs.map(run => run[key])
  const latency = key => ({
    median: median(all(key)),
    low: quantile(all(key), 0),
    high: quantile(all(key), 1),
    ratio: ratios(all(key), bare.map(run => run[key])).median
  })
  return {
    ...row,
    p50: latency('p50'),
    p99: latency('p99'),
    responses: median(all('responses')),
    responsesRatio: ratios(all('responses'), bare.map(run => run.responses)).median,
    tasks: median(all('tasks')),
    tasksLeft: left,
    mostWaiting: Math.max(...all('mostWaiting')),
    lost: median(all('lost')),
    peakMemory: median(all('peakMemory')),
    refused: Math.max(...all('refused')),
    unanswered: Math.max(...all('unanswered')),
    lateP99: Math.max(...all('lateP99'))
  }
}
