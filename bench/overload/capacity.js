import { startWarm } from './warm-server.js'
import { limits } from './scenarios.js'

const MILLISECONDS = 1_000

const measured = new Map()

/**
 * Requests a second of one process at full load. `alone` answers and does nothing else, `withTasks` does the
 * tasks before it answers. Waiting takes no CPU: there the limit is how many may wait at once.
 */
export function measureCapacity (task) {
  const key = JSON.stringify(task)
  if (!measured.has(key)) measured.set(key, measureNew(task))
  return measured.get(key)
}

async function measureNew (task) {
  const alone = await fullLoad({ way: 'bare', task })
  const withTasks = task.wait === undefined
    ? await fullLoad({ way: 'inline', task })
    : limits.concurrency * 1000 / task.wait / task.count
  return { alone, withTasks }
}

/** Tasks a second that a process can do beside `rate` responses a second. */
export function tasksLeft ({ alone, withTasks }, { wait, count }, rate) {
  if (wait !== undefined) return withTasks * count
  const secondsForTasks = 1 / withTasks - 1 / alone
  return Math.min(rate, (1 - rate / alone) / secondsForTasks) * count
}

async function fullLoad (candidate) {
  const { server, load } = await startWarm({ ...candidate, ...limits })
  await server.ask(['watch', 0, 0])
  const start = performance.now()
  let requests = 0
  while (performance.now() - start < MILLISECONDS) {
    await load.send('POST', 64)
    requests += 64
  }
  const seconds = (performance.now() - start) / 1000
  load.close()
  server.kill()
  return requests / seconds
}
