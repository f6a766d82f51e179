import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const script = fileURLToPath(new URL('server.js', import.meta.url))

/** Starts a candidate in a process of its own. */
export async function startServer (candidate, options = {}) {
  const { script: file = script, execPath = process.execPath, execArgv = [] } = options
  const stdio = ['ignore', 'ignore', 'inherit', 'ipc']
  const child = fork(file, [JSON.stringify(candidate)], { execPath, execArgv, stdio })
  const exited = once(child, 'exit')
  const answered = async () => {
    const gone = exited.then(([code]) => { throw new Error(`server exited with ${code}`) })
    const [message] = await Promise.race([once(child, 'message'), gone])
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
