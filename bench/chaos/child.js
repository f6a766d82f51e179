import { fork } from 'node:child_process'
import { once } from 'node:events'
import { openSync } from 'node:fs'
import { join } from 'node:path'

/** ms that a child gets to close. */
const CLOSING = 20_000

/** A producer or a worker of one version: each time it is killed another takes its place. */
export class Child {
  /** What the latest process said when it was ready: a producer its URL. */
  ready
  url
  /** How processes ended that nobody had killed. */
  surprises = []
  #file
  #given
  #errors
  #process
  #expected = false
  /** ms that its clock is ahead. */
  #clock = 0

  constructor (file, given) {
    this.#file = new URL(file, import.meta.url)
    this.#given = given
    this.#errors = openSync(join(given.folder, `${given.name}.err`), 'a')
  }

  get pid () {
    return this.#process.pid
  }

  start () {
    this.#expected = false
    this.#given.seed++
    const stdio = ['ignore', this.#errors, this.#errors, 'ipc']
    const execArgv = ['--import', new URL('clock.js', import.meta.url).href]
    const env = { ...process.env, OFFSET: this.#clock }
    const child = this.#process = fork(this.#file, [JSON.stringify(this.#given)], { stdio, execArgv, env })
    this.ready = this.#told(child).then(message => { this.url = message?.url })
    child.once('exit', (code, signal) => {
      this.url = undefined
      if (this.#expected) return
      this.surprises.push(`${this.#given.name} (${child.pid}) ended by itself: code ${code}, signal ${signal}`)
      if (this.surprises.length < 10) this.start()
    })
  }

  get #hasEnded () {
    return this.#process.exitCode !== null || this.#process.signalCode !== null
  }

  async kill () {
    if (this.#hasEnded) return
    const exit = once(this.#process, 'exit')
    this.#expected = true
    this.#process.kill('SIGKILL')
    await exit
  }

  /** Sets the clock of this process, and of those that take its place, so many ms ahead. */
  setClock (ms) {
    this.#clock = ms
    if (!this.#hasEnded) this.#process.send({ clock: ms })
  }

  /** Tells a producer to enqueue no more by itself. */
  async quieten () {
    const stopped = this.#told(this.#process)
    this.#process.send('stop')
    await stopped
  }

  /** What a process says next, or `undefined` if it ends before. */
  async #told (child) {
    const [message] = await Promise.race([once(child, 'message'), once(child, 'exit').then(() => [])])
    return message
  }

  async close () {
    if (this.#hasEnded) return
    const exit = once(this.#process, 'exit')
    this.#expected = true
    this.#process.kill('SIGTERM')
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), CLOSING)
    const [code] = await exit
    clearTimeout(timer)
    if (code === 0) return
    this.surprises.push(`${this.#given.name} (${this.pid}) did not close well within ${CLOSING} ms: code ${code}`)
  }
}
