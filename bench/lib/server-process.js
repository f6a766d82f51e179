import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const script = fileURLToPath(new URL('server.js', import.meta.url))

/** Starts a candidate in a process of its own. */
export async function startServer (candidate, { script: file = script, execPath = process.execPath, execArgv = [] } = {}) {
  const child = fork(file, [JSON.stringify(candidate)], { execPath, execArgv, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  const exited = once(child, 'exit')
  const answered = async () => {
    const [message] = await Promise.race([once(child, 'message'), exited.then(([code]) => { throw new Error(`server exited with ${code}`) })])
    return message
  }
  const { port } = await answered()

  async function ask (command) {
    child.send({ command })
    return (await answered()).answer
  }

  return {
    port,
    pid: child.pid,
    ask,
    kill: () => child.kill('SIGKILL'),
    async close () {
      await ask('close')
      await exited
    }
  }
}
