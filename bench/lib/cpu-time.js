import { openConnections } from './closed-loop.js'
import { startServer } from './server-process.js'

/** Between 8 and 64 ratios hardly move; with 1 each request pays for turns of the event loop that others share. */
const CONNECTIONS = 16

/**
 * Microseconds of CPU a request of each candidate's server process, round by round.
 *
 * In a round each candidate has its turn, so that what else the machine does falls on all alike. Each
 * generation has processes of its own: two processes of the same candidate differ by more than two rounds do.
 */
export async function measureCpu (candidates, { generations, rounds, requests, warmUp }) {
  const times = candidates.map(() => [])
  for (let generation = 0; generation < generations; generation++) {
    const servers = []
    for (const candidate of candidates) {
      const server = await startServer(candidate)
      const load = await openConnections(server.port, CONNECTIONS)
      await load.send(candidate.method, warmUp)
      servers.push({ server, load, method: candidate.method })
    }
    for (let round = 0; round < rounds; round++) {
      for (const [index, { server, load, method }] of servers.entries()) {
        const before = await server.ask('usage')
        await load.send(method, requests)
        const after = await server.ask('usage')
        times[index].push((total(after) - total(before)) / requests)
      }
    }
    for (const { server, load } of servers) {
      load.close()
      await server.close()
    }
  }
  return times
}

function total ({ cpu: { user, system } }) {
  return user + system
}
