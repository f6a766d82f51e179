import { fileURLToPath } from 'node:url'
import { runChild } from './lib/child.js'
import { judge, round, roundAll } from './lib/report.js'
import { median, ratios } from './lib/statistics.js'

const ROUNDS = 3
const COUNTS = [10_000, 100_000, 1_000_000]

const close = fileURLToPath(new URL('drain/close.js', import.meta.url))

const candidates = {
  'tasks outside of requests': { way: 'service' },
  'tasks of one request': { way: 'oneRequest' },
  'asynchronous tasks outside of requests': { way: 'service', asynchronous: true },
  'asynchronous tasks of one request': { way: 'oneRequest', asynchronous: true },
  'hand-rolled: an array, awaited one by one': { way: 'array', asynchronous: true }
}

export async function measure () {
  const figures = []
  for (const [what, candidate] of Object.entries(candidates)) {
    const rounds = await runChild(close, { ...candidate, counts: COUNTS, rounds: ROUNDS }, ['--expose-gc'])
    figures.push({
      what,
      times: COUNTS.map((count, index) => ({
        count,
        ms: round(median(rounds.map(times => times[index].wall)) * count, 1),
        cpuUsEach: round(median(rounds.map(times => times[index].cpu)) * 1_000, 2)
      })),
      growth: roundAll(ratios(rounds.map(times => times.at(-1).cpu), rounds.map(times => times[0].cpu)), 2)
    })
  }
  return {
    file: 'drain',
    title: 'Drain: ms from close() to closed with so many no-op tasks pending (CPU us a task), ' +
      `median of ${ROUNDS} rounds`,
    columns: [
      'pending',
      ...COUNTS.map(count => count.toLocaleString('en')),
      'CPU a task, the most against the least: median',
      'middle half'
    ],
    rows: figures.map(({ what, times, growth: { median, low, high } }) =>
      [what, ...times.map(({ ms, cpuUsEach }) => `${ms} (${cpuUsEach})`), median, `${low} to ${high}`]),
    targets: figures
      .filter(({ what }) => !what.startsWith('hand-rolled'))
      .map(({ what, growth }) => judge({
        what: `${what}, CPU a task, ${COUNTS.at(-1)} against ${COUNTS[0]} pending`,
        measured: growth,
        limit: 1.2,
        digits: 2
      })),
    figures
  }
}
