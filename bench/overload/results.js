import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus } from 'node:os'

const file = new URL('../results/overload.json', import.meta.url)

export function load () {
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined
}

/** Puts new scenarios beside those measured before, unless they come from another setting. */
export function save (scenarios) {
  const setting = about()
  const before = load()
  const isAlike = before !== undefined && Object.keys(setting).every(key => JSON.stringify(before[key]) === JSON.stringify(setting[key]))
  const results = { ...setting, scenarios: { ...isAlike ? before.scenarios : {}, ...scenarios } }
  mkdirSync(new URL('.', file), { recursive: true })
  writeFileSync(file, JSON.stringify(results, rounded, 2) + '\n')
  return results
}

/** What the figures depend on. */
export function about () {
  return {
    command: 'npm run bench:overload',
    node: process.version,
    machine: `${availableParallelism()} x ${cpus()[0].model.trim()}, ${process.platform} ${process.arch}`,
    versions: Object.fromEntries(['fastify', 'p-limit', 'p-queue', 'fastq'].map(name => [name, versionOf(name)]))
  }
}

function versionOf (name) {
  return JSON.parse(readFileSync(new URL(`../../node_modules/${name}/package.json`, import.meta.url), 'utf8')).version
}

function rounded (_key, value) {
  return typeof value === 'number' ? Number(value.toPrecision(5)) : value
}
