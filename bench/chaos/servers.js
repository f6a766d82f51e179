import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import Database from 'libsql'

/** A file needs no server. What hangs is whoever wants to write while another process does. */
class SqliteFile {
  options
  #writer

  constructor (folder) {
    this.options = { file: join(folder, 'queue.db') }
  }

  hang () {
    this.#writer = new Database(this.options.file)
    this.#writer.exec('pragma busy_timeout = 5000; begin immediate')
  }

  resume () {
    this.#writer.close()
  }

  start () {}
  close () {}
}

class Server {
  #process

  async start () {
    const child = this.#process = this.spawn()
    const said = []
    for await (const line of createInterface(child.stdout)) {
      said.push(line)
      if (/ready to accept connections/i.test(line)) break
    }
    if (child.exitCode !== null) throw new Error(`The server did not start:\n${said.join('\n')}`)
    child.stdout.resume()
  }

  async kill () {
    if (this.#process === undefined) return
    const exit = once(this.#process, 'exit')
    this.#signal('SIGKILL')
    await exit
    this.#process = undefined
  }

  hang () {
    this.#signal('SIGSTOP')
  }

  resume () {
    this.#signal('SIGCONT')
  }

  close () {
    return this.kill()
  }

  /** To the server and, of PostgreSQL, its process for each connection. */
  #signal (signal) {
    const { pid } = this.#process
    const children = execFileSync('ps', ['-A', '-o', 'pid=', '-o', 'ppid='], { encoding: 'utf8' })
      .trim().split('\n').map(line => line.trim().split(/\s+/).map(Number)).filter(([, parent]) => parent === pid)
    for (const one of [pid, ...children.map(([child]) => child)]) {
      try {
        process.kill(one, signal)
      } catch (error) {
        if (error.code !== 'ESRCH') throw error
      }
    }
  }
}

class Redis extends Server {
  options
  #folder

  constructor (folder) {
    super()
    this.#folder = folder
    this.options = { connection: join(folder, 'redis.sock') }
  }

  spawn () {
    const place = ['--port', '0', '--unixsocket', this.options.connection, '--dir', this.#folder]
    const args = [...place, '--save', '', '--appendonly', 'yes', '--appendfsync', 'always']
    return spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'inherit'] })
  }
}

/** PostgreSQL refuses to run as root. */
const unprivileged = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {}

class Postgres extends Server {
  options
  #folder

  constructor (folder) {
    super()
    this.#folder = join(folder, 'postgres')
    this.options = { connection: `postgres://postgres@/postgres?host=${encodeURIComponent(this.#folder)}` }
    mkdirSync(this.#folder)
    if (unprivileged.uid !== undefined) {
      for (const path of [folder, this.#folder]) chownSync(path, unprivileged.uid, unprivileged.gid)
    }
    const args = ['-D', join(this.#folder, 'data'), '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--no-locale']
    execFileSync('initdb', args, { ...unprivileged, stdio: 'pipe' })
  }

  spawn () {
    const settings = ['listen_addresses=', `unix_socket_directories=${this.#folder}`, 'lc_messages=C']
    const args = ['-D', join(this.#folder, 'data'), ...settings.flatMap(setting => ['-c', setting])]
    const child = spawn('postgres', args, { ...unprivileged, stdio: ['ignore', 'ignore', 'pipe'] })
    return Object.assign(child, { stdout: child.stderr })
  }
}

export const servers = { sqlite: SqliteFile, bullmq: Redis, 'pg-boss': Postgres }
