import { writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism, cpus } from 'node:os'

const { version: fastify } = createRequire(import.meta.url)('fastify/package.json')

/** What figures depend on. */
export function about () {
  const { platform, arch, version: node } = process
  return { node, fastify, machine: `${availableParallelism()} x ${cpus()[0].model.trim()}, ${platform} ${arch}` }
}

/**
 * Compares a figure, or the median of many, with the most it should be.
 * `measured` is a number, or `{ median, low, high }`; `unit` is optional.
 */
export function judge ({ what, measured: given, limit, digits, unit = '' }) {
  const { median: measured, ...spread } = roundAll(typeof given === 'number' ? { median: given } : given, digits)
  const by = round(Math.abs(measured - limit), digits)
  return { what, measured, ...spread, limit, met: measured <= limit, by, unit }
}

export function round (value, digits) {
  return Number(value.toFixed(digits))
}

export function roundAll (values, digits) {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, round(value, digits)]))
}

/** Prints a part's table, and a line for each of its targets. */
export function print ({ title, columns, rows, targets }) {
  const line = cells => `| ${cells.join(' | ')} |`
  console.log(`\n## ${title}\n`)
  console.log([columns, columns.map(() => '---'), ...rows].map(line).join('\n'))
  console.log()
  for (const { what, measured, low, high, limit, met, by, unit } of targets) {
    const spread = low === undefined ? '' : ` (middle half ${low} to ${high})`
    const [verdict, side] = met ? ['met', 'below'] : ['MISSED', 'above']
    console.log(`- ${verdict}: ${what}: ${measured}${unit}${spread}, at most ${limit}${unit}: ${by}${unit} ${side}`)
  }
}

export function save ({ file, figures, targets }, command) {
  const result = { command, date: new Date().toISOString().slice(0, 10), ...about(), targets, figures }
  writeFileSync(new URL(`../results/${file}.json`, import.meta.url), JSON.stringify(result, null, 2) + '\n')
}
