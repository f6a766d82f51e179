import { setTimeout as sleep } from 'node:timers/promises'
import { Server } from './server.js'

export const RUNS = 5
/** ms for tasks that take none to run; a task that has not run by then does not. */
const PATIENCE = 1_000
/** ms that a server may take to stop. */
const STOPPED = 15_000

/**
 * How many small tasks ran during `work`. Waits for `expected`, and a moment for any that are too many.
 * undefined where the server cannot tell any more, because its process has ended.
 */
async function tasksRun (server, expected, work) {
  const before = await server.ran()
  await work()
  const late = performance.now() + PATIENCE
  try {
    while (performance.now() < late && await server.ran() - before < expected) await sleep(20)
    await sleep(100)
    return await server.ran() - before
  } catch {
    await server.exited
    return undefined
  }
}

async function throwing (server, scenario) {
  const logged = server.output.length
  let status
  const others = await tasksRun(server, 2, async () => {
    status = await server.post(scenario).catch(error => error.message)
  })
  if (others === undefined) return 'the process ends'
  return [
    status !== 200 && `the answer is ${status}`,
    others !== 2 && `${others} of the 2 others run`,
    !server.output.slice(logged).includes('the first task failed') && 'nothing is logged'
  ].filter(Boolean).join(', ')
}

async function answersFirst (server, scenario) {
  const half = server.written('half of the task has run').then(() => 'the response waits for the task')
  const answered = server.post(scenario).then(() => '')
  const first = await Promise.race([half, answered])
  await Promise.all([half, answered])
  return first
}

async function terminated (peer) {
  const server = await Server.start(peer)
  await Promise.all(Array.from({ length: 4 }, () => server.post('slow', { keepAlive: true })))
  server.terminate()
  const timer = setTimeout(() => { server.kill() }, STOPPED)
  const { signal } = await server.exited
  clearTimeout(timer)
  const ran = server.output.split('slow task ran').length - 1
  if (signal === 'SIGKILL') return `it does not stop, ${ran} of 12 run`
  return ran === 12 ? '' : `${ran} of 12 run`
}

/** Each returns what is wrong, or '' where nothing is. `fresh` ones start servers for themselves. */
export const checks = [
  {
    name: 'abort',
    title: 'client aborts: the task runs once',
    async run (server) {
      const ran = await tasksRun(server, 1, () => server.postAndLeave('abort'))
      return ran === 1 ? '' : `it runs ${ran} times`
    }
  },
  { name: 'rejects', title: 'the first of 3 rejects: others run, logged', run: server => throwing(server, 'rejects') },
  { name: 'throws', title: 'the first of 3 throws: others run, logged', run: server => throwing(server, 'throws') },
  { name: 'sigterm', title: 'SIGTERM: 12 tasks of 500 ms all run', fresh: true, run: terminated },
  { name: 'waiting', title: 'response before a task that waits', run: server => answersFirst(server, 'waiting') },
  { name: 'blocking', title: 'response before a task that blocks', run: server => answersFirst(server, 'blocking') }
]

/** Policies differ: there is no right or wrong. */
async function handlerThrows (server) {
  const ran = await tasksRun(server, 1, () => server.post('fails').catch(() => {}))
  if (ran === undefined) return 'the process ends'
  return ran === 1 ? 'runs' : 'dropped'
}

/**
 * Runs all checks against a peer, and returns name -> { right, wrong: [...what] }, with what happens to tasks
 * if the handler throws.
 */
export async function check (peer) {
  const result = {}
  let server = await Server.start(peer)
  try {
    for (const { name, run, fresh } of checks) {
      const wrong = []
      if (fresh) wrong.push(...await Promise.all(Array.from({ length: RUNS }, () => run(peer))))
      else {
        for (let i = 0; i < RUNS; i++) {
          if (!server.alive) server = await Server.start(peer)
          wrong.push(await run(server).catch(error => error.message))
        }
      }
      result[name] = { right: wrong.filter(what => what === '').length, wrong: [...new Set(wrong)].filter(Boolean) }
    }
    if (!server.alive) server = await Server.start(peer)
    return { checks: result, handlerThrows: await handlerThrows(server) }
  } finally {
    await server.kill()
  }
}
