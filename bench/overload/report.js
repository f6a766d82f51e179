import { bestHandRolled } from './targets.js'

/** ms by which the generator may miss its own schedule in one of a hundred requests. */
const LATE = 1

const names = {
  bare: 'no tasks',
  plugin: '**fastify-background-tasks**',
  finish: "`reply.raw.on('finish')`",
  setImmediate: '`setImmediate`',
  onResponse: 'onResponse loop'
}

const columns = [
  '', 'p50 ms', 'p99 ms', 'p50, p99 against no tasks', 'responses/s', 'tasks/s', 'waiting at most', 'dropped',
  'peak RSS MB'
]

export function markdown (title, result) {
  const { rows, capacity, rounds, seconds, arrivals } = result
  const line = cells => `| ${cells.join(' | ')} |`
  const times = rounds === 1 ? '1 round' : `median (range) of ${rounds} interleaved rounds`
  return [
    `### ${title}`,
    '',
    `Capacity ${whole(capacity.withTasks)} requests/s with their tasks, ${whole(capacity.alone)} without. ` +
    `Arrivals ${arrivals}, ${seconds} s, ${times}.`,
    '',
    ...[columns, columns.map(() => '---'), ...rows.map(cells)].map(line),
    '',
    ...notes(result)
  ].join('\n')
}

function cells (row) {
  const { way, load, rate, p50, p99, responses, tasks, mostWaiting, lost, peakMemory } = row
  return [
    `${names[way] ?? way}${isLate(row) ? ' *' : ''}, ${load} x (${whole(rate)}/s)`,
    ranged(p50),
    ranged(p99),
    way === 'bare' ? '1' : `${digits(p50.ratio)}, ${digits(p99.ratio)}`,
    whole(responses),
    way === 'bare' ? '' : whole(tasks),
    way === 'bare' ? '' : mostWaiting,
    way === 'plugin' ? whole(lost) : '',
    whole(peakMemory / 2 ** 20)
  ]
}

function notes ({ rows, targets, task }) {
  const late = rows.filter(isLate)
  const isSure = !late.some(({ way }) => way === 'bare' || way === 'plugin')
  const unanswered = rows.filter(({ unanswered }) => unanswered > 0)
  const refused = rows.filter(({ refused }) => refused > 0)
  const isBusy = targets.length > 0 && task.cpu !== undefined && rows[0].load > 1
  return [
    ...targets.map(target => verdict(target, isSure)),
    ...targets.length === 0 ? [] : [praise(bestHandRolled({ rows }))],
    // Nobody can interrupt JavaScript, and a process with work left is never idle.
    ...isBusy ? [wait(task)] : [],
    ...refused.map(({ way, load, refused }) => `- ${way} at ${load} x answered 503 up to ${refused} times`),
    ...unanswered.map(({ way, load, unanswered }) =>
      `- ${way} at ${load} x left up to ${unanswered} requests without an answer; they count with the time waited`),
    ...late.length === 0 ? [] : [doubt(late)]
  ]
}

function verdict ({ what, measured, limit, isMet }, isSure) {
  const start = (isMet ? 'met' : 'MISSED') + (isSure ? '' : ' (not to be trusted, see below)')
  const margin = `${isMet ? 'spare' : 'over by'} ${digits(Math.abs(measured - limit))}`
  return `- ${start}: ${what}: ${digits(measured)} (${margin})`
}

function praise ({ way, p50, p99 }) {
  return `- the best of the others by p50, ${way}: p50 ${digits(p50.median)} ms, p99 ${digits(p99.median)} ms`
}

function wait ({ cpu }) {
  return `- a request that comes at any time waits for half a task in the median, ${digits(cpu / 2)} ms, ` +
    'whatever the scheduling'
}

function doubt (late) {
  const most = digits(Math.max(...late.map(({ lateP99 }) => lateP99)))
  return `- * the generator missed its own schedule by up to ${most} ms (p99): the machine was busy, ` +
    'do not trust these rows'
}

function isLate ({ lateP99 }) {
  return lateP99 > LATE
}

function ranged ({ median, low, high }) {
  return low === high ? digits(median) : `${digits(median)} (${digits(low)} to ${digits(high)})`
}

function digits (value) {
  return value < 100 ? Number(value.toPrecision(2)).toString() : whole(value)
}

function whole (value) {
  return Math.round(value).toLocaleString('en')
}
