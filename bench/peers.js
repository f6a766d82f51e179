// The same work on other frameworks: a POST that adds 1 and 3 small asynchronous tasks. How fast, and whether
// the tasks run when something goes wrong. Installs the peers into bench/peers first.
//   npm run bench:peers -- [--only NAME]... [--part load | checks] [--rounds 5] [--seconds 1] [--installed]
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { cpus, release, totalmem } from 'node:os'
import { parseArgs } from 'node:util'
import { check } from './peers/checks.js'
import { install } from './peers/install.js'
import { peers as all } from './peers/list.js'
import { loadTool, measure } from './peers/load.js'
import { checksTable, notRun, peersTable, speedTable, targets } from './peers/report.js'
import { Server } from './peers/server.js'

const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true },
    part: { type: 'string' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '1' },
    installed: { type: 'boolean', default: false }
  }
})
const BASE = 'bare Fastify'
const OURS = 'fastify-background-tasks'
const file = new URL('results/peers.json', import.meta.url)

const peers = all.filter(({ name }) => name === BASE || values.only === undefined || values.only.includes(name))
const unknown = values.only?.filter(name => !all.some(peer => peer.name === name)) ?? []
if (unknown.length > 0) {
  throw new Error(`--only takes ${all.map(({ name }) => `"${name}"`).join(', ')}, not "${unknown.join('", "')}"`)
}

const installed = install(peers, { done: values.installed })
const results = peers.map(({ name, reference = false, docs, shutdown }) =>
  ({ name, reference, docs, shutdown, ...installed.get(name) }))
const runnable = peers.filter(({ name }) => installed.get(name).notRun === undefined)
const resultOf = name => results.find(result => result.name === name)

if (values.part !== 'checks') {
  const servers = new Map()
  try {
    for (const peer of runnable) {
      try {
        servers.set(peer.name, await Server.start(peer))
      } catch (error) {
        resultOf(peer.name).notRun = error.message
      }
    }
    const measured = await measure(servers, BASE, { rounds: Number(values.rounds), seconds: Number(values.seconds) })
    for (const [name, load] of measured) resultOf(name).load = load
  } finally {
    await Promise.all([...servers.values()].map(server => server.kill()))
  }
}

if (values.part !== 'load') {
  const queue = runnable.filter(({ tasks }) => tasks !== false)
  const work = async () => {
    for (let peer = queue.shift(); peer !== undefined; peer = queue.shift()) {
      resultOf(peer.name).correct = await check(peer).catch(error => ({ failed: error.message }))
    }
  }
  await Promise.all([work(), work()])
}

const memory = `${Math.round(totalmem() / 2 ** 30)} GB`
const rounds = `${values.rounds} interleaved rounds of ${values.seconds} s`
const setting = {
  date: new Date().toISOString(),
  node: process.version,
  machine: `${cpus().length} x ${cpus()[0].model.trim()}, ${memory}, ${process.platform} ${release()}`,
  load: values.part === 'checks' ? undefined : `${loadTool}, 32 connections, closed loop, ${rounds}`
}
console.log(`Node.js ${setting.node}, ${setting.machine}\n${setting.load ?? ''}\n`)
console.log(`${peersTable(results)}\n`)
if (values.part !== 'checks') console.log(`${speedTable(results)}\n`)
if (values.part !== 'load') console.log(`${checksTable(results)}\n`)
for (const line of [...targets(results, OURS), ...notRun(results)]) console.log(line)

if (values.only === undefined) {
  const before = values.part === undefined ? {} : await readFile(file, 'utf8').then(JSON.parse, () => ({}))
  const { results: others = [], ...kept } = before
  const merged = results.map(result => ({ ...others.find(({ name }) => name === result.name), ...result }))
  await mkdir(new URL('.', file), { recursive: true })
  const written = { ...setting, load: setting.load ?? kept.load, results: merged }
  await writeFile(file, `${JSON.stringify(written, null, 2)}\n`)
}
