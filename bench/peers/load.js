import { execFile, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { median, quantile, ratios } from '../lib/statistics.js'

const run = promisify(execFile)
const script = fileURLToPath(new URL('post.lua', import.meta.url))
const CONNECTIONS = 32
const MS = { us: 1 / 1_000, ms: 1, s: 1_000, m: 60_000 }

// wrk prints its usage, with its version, and exits with 1.
const wrk = /^wrk \S+/.exec(spawnSync('wrk', ['-v'], { encoding: 'utf8' }).stdout ?? '')?.[0]
export const loadTool = wrk ?? 'autocannon'

async function withWrk (url, seconds) {
  const { stdout } = await run('wrk', ['-t1', `-c${CONNECTIONS}`, `-d${seconds}s`, '--latency', '-s', script, url])
  const failed = /Non-2xx.*|Socket errors.*/.exec(stdout)
  if (failed) throw new Error(`${url}: ${failed[0]}`)
  const [, amount, unit] = /99%\s+([\d.]+)(us|ms|s|m)/.exec(stdout)
  const [, total] = /(\d+) requests in/.exec(stdout)
  const [, requests] = /Requests\/sec:\s+([\d.]+)/.exec(stdout)
  return { total: Number(total), requests: Number(requests), p99: Number(amount) * MS[unit] }
}

async function withAutocannon (url, seconds) {
  const { default: autocannon } = await import('autocannon')
  const body = '{"id":12345}'
  const headers = { 'content-type': 'application/json' }
  const load = { connections: CONNECTIONS, duration: seconds }
  const result = await autocannon({ url, method: 'POST', headers, body, ...load })
  if (result.errors + result.non2xx > 0) {
    throw new Error(`${url}: ${result.errors} errors, ${result.non2xx} answers not 2xx`)
  }
  return { total: result.requests.total, requests: result.requests.total / result.duration, p99: result.latency.p99 }
}

async function burst (server, scenario, seconds) {
  const before = { ran: await server.ran(), cpu: await server.cpuTime() }
  const start = performance.now()
  const load = wrk ? withWrk : withAutocannon
  const { total, requests, p99 } = await load(`http://127.0.0.1:${server.port}/${scenario}`, seconds)
  const tasks = (await server.ran() - before.ran) / (performance.now() - start) * 1_000
  return { requests, p99, tasks, cpu: (await server.cpuTime() - before.cpu) / total }
}

/** Median and range over the rounds. */
const spread = values => ({ median: median(values), low: quantile(values, 0), high: quantile(values, 1) })

/**
 * Requests a second of each server, round by round: in each round each gets its share of load in turn.
 * All ratios are to `base` in the same round.
 */
export async function measure (servers, base, { rounds, seconds }) {
  const routes = ['one', 'three']
  const samples = new Map([...servers.keys()].map(name => [name, { one: [], three: [] }]))
  const failed = new Map()
  const each = async work => {
    for (const [name, server] of servers) {
      if (failed.has(name)) continue
      try {
        await work(name, server)
      } catch (error) {
        failed.set(name, error.message)
      }
    }
  }

  for (const route of routes) await each((_, server) => burst(server, route, 1))
  for (let round = 0; round < rounds; round++) {
    for (const route of routes) {
      await each(async (name, server) => { samples.get(name)[route].push(await burst(server, route, seconds)) })
    }
  }
  const memory = new Map()
  await each(async (name, server) => { memory.set(name, await server.rss()) })

  const summary = (name, route) => {
    const of = what => samples.get(name)[route].map(sample => sample[what])
    return {
      rounds: of('requests'),
      requests: spread(of('requests')),
      againstBare: ratios(of('requests'), samples.get(base)[route].map(sample => sample.requests)),
      cpu: spread(of('cpu')),
      tasks: spread(of('tasks')),
      p99: spread(of('p99'))
    }
  }
  return new Map([...servers.keys()].map(name => [name, failed.has(name)
    ? { failed: failed.get(name) }
    : { one: summary(name, 'one'), three: summary(name, 'three'), rss: memory.get(name) }]))
}
