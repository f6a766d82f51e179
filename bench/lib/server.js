/** One candidate in a process of its own, told what to do over IPC by lib/server-process.js. */
import { devNull } from 'node:os'
import { createApp, ran } from './candidates.js'

const { way, count, logged = false } = JSON.parse(process.argv[2])
const app = createApp({ way, count, logger: logged && { level: 'info', file: devNull } })
await app.listen({ port: 0, host: '127.0.0.1' })

const commands = {
  usage: () => ({ cpu: process.cpuUsage(), tasks: ran.tasks, memory: process.memoryUsage() }),
  gc: () => globalThis.gc({ type: 'minor' }),
  close: () => app.close()
}

process.on('message', async ({ command }) => {
  const answer = await commands[command]()
  process.send({ answer: answer ?? null })
  if (command === 'close') process.disconnect()
})
process.send({ port: app.server.address().port })
