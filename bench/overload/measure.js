import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { quantile } from '../lib/statistics.js'
import { startWarm } from './warm-server.js'

const generator = new URL('generator.js', import.meta.url)

/** ms from the order to the first request */
const LEAD = 100

/** What open-loop load does to one way of running tasks, in a server process of its own. */
export async function measure (candidate, { rate, seconds, seed }) {
  const { server, load } = await startWarm(candidate)
  load.close()
  const worker = new Worker(generator, { workerData: { port: server.port, connections: 128 } })
  await once(worker, 'message')
  const startAt = Date.now() + LEAD
  await server.ask(['watch', startAt, startAt + seconds * 1000])
  worker.postMessage({ startAt, rate, seconds, seed })
  const [{ latencies, lateness, statuses, answeredInTime, unanswered }] = await once(worker, 'message')
  const { tasksInTime, mostWaiting, lost, peakMemory } = await server.ask(['report'])
  await worker.terminate()
  server.kill()
  return {
    p50: quantile(latencies, 0.5),
    p99: quantile(latencies, 0.99),
    responses: answeredInTime / seconds,
    tasks: tasksInTime / seconds,
    mostWaiting,
    lost,
    peakMemory,
    refused: statuses[503] ?? 0,
    unanswered,
    lateP99: quantile(lateness, 0.99)
  }
}
