import { hasCallgrind, measureInstructions } from './lib/callgrind.js'
import { measureCpu } from './lib/cpu-time.js'
import { judge, roundAll } from './lib/report.js'
import { median, ratios, spread } from './lib/statistics.js'

const load = { generations: 6, rounds: 5, requests: 2_000, warmUp: 12_000 }

const candidates = [
  { method: 'GET', way: 'bare', count: 0 },
  { method: 'GET', way: 'plugin', count: 0 },
  { method: 'POST', way: 'bare', count: 0 },
  ...[1, 3, 10].flatMap(count =>
    ['plugin', 'setImmediate', 'finish', 'onResponse'].map(way => ({ method: 'POST', way, count })))
]

export async function measure ({ instructions }) {
  if (instructions && !hasCallgrind) throw new Error('valgrind is not installed')
  const cost = candidates => instructions ? measureInstructions(candidates, 2) : measureCpu(candidates, load)
  const unit = instructions ? 'instructions' : 'CPU us'
  const figures = []
  const targets = []
  for (const logged of [false, true]) {
    const costs = new Costs(candidates, await cost(candidates.map(candidate => ({ ...candidate, logged }))))
    figures.push(...costs.figures.map(figure => ({ logger: logged ? 'on' : 'off', ...figure })))
    targets.push(...judgeAll(costs, logged ? 'on' : 'off'))
  }
  return {
    file: instructions ? 'request-path-instructions' : 'request-path',
    title: instructions
      ? 'Request path: instructions of the server process in user space, a request'
      : `Request path: CPU time of the server process a request, ${load.generations} processes each, ` +
        `${load.rounds} interleaved rounds of ${load.requests} requests`,
    columns: ['logger', 'request', 'tasks', 'way', unit, 'against bare: median', 'middle half'],
    rows: figures.map(({ logger, method, count, way, cost, ratio: { median, low, high } }) =>
      [logger, method, count, way, cost, median, `${low} to ${high}`]),
    targets,
    figures
  }
}

/** What each candidate costs, round by round, seen against that of another in the same round. */
class Costs {
  #candidates
  #rounds

  constructor (candidates, rounds) {
    this.#candidates = candidates
    this.#rounds = rounds
  }

  get figures () {
    return this.#candidates.map(({ method, way, count }) => {
      const rounds = this.of(method, way, count)
      const cost = Number(median(rounds).toPrecision(rounds[0] > 1_000 ? 6 : 3))
      return { method, count, way, cost, ratio: roundAll(ratios(rounds, this.of(method, 'bare', 0)), 3) }
    })
  }

  of (method, way, count) {
    const isIt = other => other.method === method && other.way === way && other.count === count
    return this.#rounds[this.#candidates.findIndex(isIt)]
  }
}

function judgeAll (costs, logger) {
  const bare = costs.of('POST', 'bare', 0)
  const [one, immediate] = ['plugin', 'setImmediate'].map(way => costs.of('POST', way, 1))
  const points = one.map((cost, round) => 100 * (cost - immediate[round]) / bare[round])
  const none = ratios(costs.of('GET', 'plugin', 0), costs.of('GET', 'bare', 0))
  const ten = ratios(costs.of('POST', 'plugin', 10), costs.of('POST', 'setImmediate', 10))
  return [
    { what: 'no task, times bare', measured: none, limit: 1.02, digits: 3 },
    { what: '1 task, times bare', measured: ratios(one, bare), limit: 1.08, digits: 3 },
    {
      what: '1 task, above hand-rolled setImmediate',
      measured: spread(points),
      limit: 3,
      digits: 1,
      unit: ' points of bare'
    },
    { what: '10 tasks, times hand-rolled setImmediate', measured: ten, limit: 1.05, digits: 3 }
  ].map(({ what, ...target }) => judge({ what: `logger ${logger}, ${what}`, ...target }))
}
