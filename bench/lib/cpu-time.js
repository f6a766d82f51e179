import { openConnections } from './closed-loop.js'
import { startServer } from './server-process.js'

/**
 * us of CPU time a request for each candidate, round by round: all servers live at once, and in each round
 * each gets its share of requests in turn, so that what else the machine does falls on all alike.
 */
export async function cpuTimes (candidates, { rounds, requests, warmUp, connections }) {
  const servers = await Promise.all(candidates.map(async candidate => {
    const server = await startServer(candidate)
    const load = await openConnections(server.port, connections)
    await load.send(candidate.method, warmUp)
    return { server, load, candidate, times: [] }
  }))
  for (let round = 0; round < rounds; round++) {
    for (const { server, load, candidate, times } of servers) {
      const before = await server.ask('usage')
      await load.send(candidate.method, requests)
      const after = await server.ask('usage')
      times.push((after.cpu.user + after.cpu.system - before.cpu.user - before.cpu.system) / requests)
    }
  }
  for (const { server, load } of servers) {
    load.close()
    await server.close()
  }
  return servers.map(({ times }) => times)
}
