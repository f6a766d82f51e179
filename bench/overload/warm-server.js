import { fileURLToPath } from 'node:url'
import { openConnections } from '../lib/closed-loop.js'
import { startServer } from '../lib/server-process.js'

const script = fileURLToPath(new URL('server.js', import.meta.url))

/** Requests after which compiling hardly disturbs any more. */
const WARM_UP = 4_000

export async function startWarm (candidate) {
  const server = await startServer(candidate, { script })
  const load = await openConnections(server.port, 16)
  await load.send('POST', WARM_UP)
  return { server, load }
}
