import { ratios } from '../lib/statistics.js'
import { checks, RUNS } from './checks.js'

const number = value => Math.round(value).toLocaleString('en')
const ratio = ({ median, low, high }) => `${median.toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)})`
const row = cells => `| ${cells.join(' | ')} |`
const table = (head, rows) => [row(head), row(head.map(() => '---')), ...rows.map(row)].join('\n')

export function peersTable (results) {
  const columns = ['', 'versions', 'tasks as in', 'stopped by']
  return table(columns, results.map(({ name, versions = {}, docs = '', shutdown = '' }) => [
    name, Object.entries(versions).map(version => version.join(' ')).join(', '), docs, shutdown
  ]))
}

export function speedTable (results) {
  const measured = results.filter(({ load }) => load?.one)
  return table(
    [
      '',
      '1 task: requests/s (range)', 'against bare (quartiles)', 'CPU us', 'tasks/s', 'p99 ms',
      '3 tasks: requests/s (range)', 'against bare (quartiles)', 'CPU us', 'tasks/s', 'p99 ms',
      'RSS MB'
    ],
    measured.map(({ name, load }) => [
      name,
      ...['one', 'three'].flatMap(route => {
        const { requests, againstBare, cpu, tasks, p99 } = load[route]
        return [
          `${number(requests.median)} (${number(requests.low)} to ${number(requests.high)})`,
          ratio(againstBare),
          number(cpu.median),
          number(tasks.median),
          p99.median.toFixed(1)
        ]
      }),
      number(load.rss / 2 ** 20)
    ]))
}

function cell ({ right, wrong }) {
  if (right === RUNS) return 'yes'
  return `**no**${right > 0 ? ` (${right} of ${RUNS})` : ''}: ${wrong.join('; ')}`
}

export function checksTable (results) {
  return table(
    ['', ...checks.map(({ title }) => title), 'handler throws after the add'],
    results.filter(({ correct }) => correct?.checks).map(({ name, correct }) =>
      [name, ...checks.map(check => cell(correct.checks[check.name])), correct.handlerThrows]))
}

export const allRight = ({ correct }) =>
  correct?.checks !== undefined && Object.values(correct.checks).every(({ right }) => right === RUNS)

/** What was to be shown, and whether it was. */
export function targets (results, ours) {
  const lines = []
  const own = results.find(({ name }) => name === ours)
  const peers = results.filter(result => result !== own && !result.reference)
  for (const [route, tasks] of [['one', '1 task'], ['three', '3 tasks']]) {
    if (!own?.load?.[route]) continue
    const of = ({ load }) => load[route].requests.median
    const [best] = peers.filter(({ load }) => load?.[route]).sort((a, b) => of(b) - of(a))
    if (best === undefined) continue
    const against = ratios(own.load[route].rounds, best.load[route].rounds)
    const verdict = against.low >= 1 ? 'met' : against.high < 1 ? 'MISSED' : 'UNDECIDED, the rounds differ by more'
    lines.push(`first in requests/s with ${tasks}: ${verdict}, ${ratio(against)} times ${best.name}`)
  }
  if (own?.correct) {
    const others = peers.filter(allRight).map(({ name }) => name)
    const met = allRight(own) && others.length === 0
    const why = allRight(own) ? `so has ${others.join(', ')}` : 'ours has not'
    lines.push(`the only one with every column right: ${met ? 'met' : `MISSED, ${why}`}`)
  }
  return lines
}

export function notRun (results) {
  return results.flatMap(({ name, notRun, load, correct }) =>
    [notRun, load?.failed, correct?.failed].filter(Boolean).map(why => `not run: ${name}: ${why}`))
}
