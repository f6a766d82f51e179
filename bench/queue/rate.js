import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { performance } from 'node:perf_hooks'
import { median } from '../lib/statistics.js'

/** Operations a second, with so many under way at all times. */
export async function rate (operation, { inFlight, count }) {
  let left = count
  const one = async () => {
    while (left-- > 0) await operation()
  }
  const start = performance.now()
  await Promise.all(Array.from({ length: inFlight }, one))
  return count / (performance.now() - start) * 1_000
}

/** ms in the median that a POST waits for its answer, over connections that each ask again at once. */
export async function latency (url, { connections, count }) {
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  const times = []
  await rate(async () => {
    const start = performance.now()
    const sent = request(url, { agent, method: 'POST' }).end()
    const [response] = await once(sent, 'response')
    if (response.statusCode !== 200) throw new Error(`unexpected answer: ${response.statusCode}`)
    await once(response.resume(), 'end')
    times.push(performance.now() - start)
  }, { inFlight: connections, count })
  agent.destroy()
  return median(times)
}
