import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { about as surroundings } from '../lib/report.js'

const file = new URL('../results/overload.json', import.meta.url)

export function load () {
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined
}

/** Puts new scenarios beside those measured before, unless they come from another setting. */
export function save (scenarios) {
  const setting = about()
  const before = load()
  const isSame = key => JSON.stringify(before[key]) === JSON.stringify(setting[key])
  const isAlike = before !== undefined && Object.keys(setting).every(isSame)
  const results = { ...setting, scenarios: { ...isAlike ? before.scenarios : {}, ...scenarios } }
  mkdirSync(new URL('.', file), { recursive: true })
  writeFileSync(file, JSON.stringify(results, rounded, 2) + '\n')
  return results
}

/** What the figures depend on. */
export function about () {
  const { node, machine, fastify } = surroundings()
  const others = ['p-limit', 'p-queue', 'fastq'].map(name => [name, versionOf(name)])
  return { command: 'npm run bench:overload', node, machine, versions: { fastify, ...Object.fromEntries(others) } }
}

function versionOf (name) {
  return JSON.parse(readFileSync(new URL(`../../node_modules/${name}/package.json`, import.meta.url), 'utf8')).version
}

function rounded (_key, value) {
  return typeof value === 'number' ? Number(value.toPrecision(5)) : value
}
