import { execFileSync, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { chownSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Queue } from 'bullmq'
import { Redis as Client } from 'ioredis'
import Database from 'libsql'
import pg from 'pg'

/** What another program may store in place of a job's data. */
const FOREIGN = ['null', '[]', '"text"', '{}', '{"payload":1,"version":"1","enqueuedAt":"today"}']
const UNREADABLE = '{"payload":'

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

  plant () {
    const writer = new Database(this.options.file)
    writer.exec('pragma busy_timeout = 5000')
    const insert = writer.prepare(`insert into background_tasks_jobs
      (id, queue, task, data, priority, state, due, enqueued_at) values (?, 'default', 'mail', ?, 50, 'pending', ?, ?)`)
    const ids = [...FOREIGN, UNREADABLE].map(data => {
      const id = randomUUID()
      insert.run(id, data, Date.now(), Date.now())
      return id
    })
    writer.close()
    return ids
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

  async plant () {
    const queue = new Queue('default', { connection: { path: this.options.connection } })
    const ids = []
    const add = async (data, delay) => {
      ids.push(randomUUID())
      await queue.add('mail', data, { jobId: ids.at(-1), delay })
    }
    for (const data of FOREIGN) await add(JSON.parse(data), 0)
    await add({}, 1_000)
    const client = new Client(this.options.connection)
    await client.hset(queue.toKey(ids.at(-1)), 'data', UNREADABLE)
    await Promise.all([client.quit(), queue.close()])
    return ids
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

  async plant () {
    const client = new pg.Client(this.options.connection)
    await client.connect()
    const ids = []
    const rows = [...FOREIGN, ...FOREIGN.map(data => `{"task":"mail","data":${data}}`)]
    for (const data of [...rows, JSON.stringify({ task: 'mail', data: UNREADABLE })]) {
      ids.push(randomUUID())
      await client.query("insert into pgboss.job (id, name, data) values ($1, 'default', $2)", [ids.at(-1), data])
    }
    await client.end()
    return ids
  }

  spawn () {
    const settings = ['listen_addresses=', `unix_socket_directories=${this.#folder}`, 'lc_messages=C']
    const args = ['-D', join(this.#folder, 'data'), ...settings.flatMap(setting => ['-c', setting])]
    const child = spawn('postgres', args, { ...unprivileged, stdio: ['ignore', 'ignore', 'pipe'] })
    return Object.assign(child, { stdout: child.stderr })
  }
}

export const servers = { sqlite: SqliteFile, bullmq: Redis, 'pg-boss': Postgres }
