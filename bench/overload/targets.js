import { handRolled, limits } from './scenarios.js'

/** @typedef {{ what: string, measured: number, limit: number, isMet: boolean }} Target */

/** What is promised for a scenario, and what was measured. */
export function judge (name, { rows }) {
  if (name === 'sweep') return []
  const plugin = rows.find(({ way }) => way === 'plugin')
  const most = (what, measured, limit) =>
    ({ what: `${what}, at most ${limit}`, measured, limit, isMet: measured <= limit })
  const least = (what, measured, limit) =>
    ({ what: `${what}, at least ${limit}`, measured, limit, isMet: measured >= limit })
  const always = [
    least('responses against the bare route', plugin.responsesRatio, 0.99),
    most('tasks waiting or running', plugin.mostWaiting, limits.maxPending + limits.concurrency),
    least('tasks against what the responses leave', plugin.tasks / plugin.tasksLeft, 0.9)
  ]
  const latency = (p50, p99) => [
    most('p50 against the bare route', plugin.p50.ratio, p50),
    most('p99 against the bare route', plugin.p99.ratio, p99)
  ]
  if (name.startsWith('wait')) return always
  return [...(plugin.load > 1 ? latency(3, 5) : latency(1.5, 1.5)), ...always]
}

export function bestHandRolled ({ rows }) {
  const others = rows.filter(({ way }) => handRolled.includes(way))
  return others.toSorted((a, b) => a.p50.median - b.p50.median)[0]
}
