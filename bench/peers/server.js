import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { Agent, request } from 'node:http'
import { connect, createServer } from 'node:net'
import { json, text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'

const START_TIMEOUT = 20_000
const BODY = '{"id":12345}'
const headers = { 'content-type': 'application/json', 'content-length': BODY.length }

async function freePort () {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

/** A peer that serves, in a process of its own. */
export class Server {
  #child
  #keepAlive = new Agent({ keepAlive: true })
  port
  output = ''
  exit
  exited

  constructor (child, port) {
    this.#child = child
    this.port = port
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', text => { this.output += text })
    }
    this.exited = new Promise(resolve => {
      const end = exit => {
        this.exit = exit
        this.#keepAlive.destroy()
        resolve(exit)
      }
      child.on('error', error => { this.output += error.message; end({}) })
      child.on('close', (code, signal) => { end({ code, signal }) })
    })
  }

  static async start ({ name, start: { command, args, cwd, env } }) {
    const port = await freePort()
    // srvx stops gracefully only where neither CI nor TEST is set.
    const { CI, TEST, NODE_OPTIONS, ...inherited } = process.env
    const child = spawn(command, args.map(arg => arg.replace('$PORT', port)), {
      cwd,
      env: { ...inherited, NODE_ENV: 'production', ...env, PORT: String(port) },
      stdio: ['ignore', 'pipe', 'pipe']
    })
    const server = new Server(child, port)
    const late = AbortSignal.timeout(START_TIMEOUT)
    while (server.alive && !late.aborted) {
      if (await server.ran().then(() => true, () => false)) return server
      await sleep(50)
    }
    server.kill()
    throw new Error(`${name} does not start: ${server.output.trim().split('\n')[0] || 'no answer'}`)
  }

  get alive () {
    return this.exit === undefined
  }

  async #answer (method, path, options, body) {
    const sent = request({ host: '127.0.0.1', port: this.port, method, path, ...options })
    sent.end(body)
    const [response] = await once(sent, 'response')
    return response
  }

  /** How many small tasks have run. */
  async ran () {
    const response = await this.#answer('GET', '/ran', { agent: false })
    return (await json(response)).tasks
  }

  /** `keepAlive` keeps the connection open after the answer. */
  async post (scenario, { keepAlive = false } = {}) {
    const agent = keepAlive ? this.#keepAlive : false
    const response = await this.#answer('POST', `/${scenario}`, { headers, agent }, BODY)
    await text(response)
    return response.statusCode
  }

  /** Resolves once the server writes this to its standard output, or has exited. */
  async written (line) {
    const from = this.output.length
    while (this.alive && !this.output.includes(line, from)) {
      await Promise.race([once(this.#child.stdout, 'data'), this.exited])
    }
  }

  /** Sends a whole request, and goes away as soon as its handler has begun. */
  async postAndLeave (scenario) {
    const begun = this.written('the handler has begun')
    const socket = connect(this.port, '127.0.0.1')
    await once(socket, 'connect')
    const lines = [
      `POST /${scenario} HTTP/1.1`,
      'host: 127.0.0.1',
      'content-type: application/json',
      `content-length: ${headers['content-length']}`
    ]
    socket.write(`${lines.join('\r\n')}\r\n\r\n${BODY}`)
    await begun
    socket.destroy()
  }

  /** The process and those it has started, with their resident memory in KiB. */
  async #processes () {
    const { stdout } = await promisify(execFile)('ps', ['-A', '-o', 'pid=,ppid=,rss='])
    const processes = stdout.trim().split('\n').map(line => line.trim().split(/\s+/).map(Number))
    const tree = new Set([this.#child.pid])
    // Parents are older than their children, and listed first.
    for (const [pid, parent] of processes) if (tree.has(parent)) tree.add(pid)
    return processes.filter(([pid]) => tree.has(pid)).map(([pid, , rss]) => ({ pid, rss }))
  }

  /** Bytes of resident memory. */
  async rss () {
    return (await this.#processes()).reduce((sum, { rss }) => sum + rss * 1024, 0)
  }

  /** us of CPU time used so far; NaN where there is no /proc. */
  async cpuTime () {
    let time = 0
    for (const { pid } of await this.#processes()) {
      const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
      // Fields 14 and 15, in hundredths of a second; field 2 is a name that may hold blanks.
      const [user, system] = stat.slice(stat.lastIndexOf(')') + 2).split(' ').slice(11, 13).map(Number)
      time += (user + system) * 10_000
    }
    return time
  }

  terminate () {
    this.#child.kill('SIGTERM')
  }

  kill () {
    this.#child.kill('SIGKILL')
    return this.exited
  }
}
