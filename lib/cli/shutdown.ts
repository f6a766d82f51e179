import type { FastifyBaseLogger } from 'fastify'
import { MAX_TIMER } from '../check.ts'
import { complain } from './complaint.ts'
import type { Host } from './host.ts'

/** ms from the drain timeout on, for plugins to close their connections. */
const CLOSING = 10_000

/** ms. Under npm, where its shell is bash, Ctrl+C comes twice: from the terminal, and passed on by npm. */
const ECHO = 1_000

const codes = { SIGINT: 130, SIGTERM: 143 } as const

type Signal = keyof typeof codes

/** Waits for a reason to end the process, and then makes sure that it ends. */
export class Shutdown {
  readonly requested: Promise<void>
  readonly #host: Host
  readonly #log: FastifyBaseLogger
  readonly #stopWaiting: () => void
  /** Keeps the process alive, which listeners of signals and promises do not. */
  readonly #alive: NodeJS.Timeout = setInterval(() => {}, MAX_TIMER)
  #deadline: NodeJS.Timeout | undefined = undefined
  #requestedAt = 0
  /** ms that jobs may take. */
  drainTimeout: number
  code = 0

  constructor (host: Host, log: FastifyBaseLogger, drainTimeout: number) {
    let resolve!: () => void
    this.requested = new Promise(_resolve => { resolve = _resolve })
    this.#stopWaiting = resolve
    this.#host = host
    this.#log = log
    this.drainTimeout = drainTimeout
    for (const signal of Object.keys(codes)) host.on(signal as Signal, this.#onSignal)
    host.on('uncaughtException', this.#onUncaught)
  }

  /** Asks for the end. The highest code wins. */
  request (code: number): void {
    this.code = Math.max(this.code, code)
    if (this.#deadline !== undefined) return
    const ms = this.drainTimeout + CLOSING
    this.#requestedAt = Date.now()
    this.#deadline = setTimeout(() => {
      this.#log.error(`background task worker had not closed after ${ms} ms`)
      this.#host.exit(3)
    }, ms)
    this.#stopWaiting()
  }

  /** Lets the process end, as everything is closed. */
  end (): void {
    clearInterval(this.#alive)
    clearTimeout(this.#deadline)
    for (const signal of Object.keys(codes)) this.#host.off(signal, this.#onSignal)
    this.#host.off('uncaughtException', this.#onUncaught)
  }

  readonly #onSignal = (signal: Signal): void => {
    if (this.#deadline === undefined) {
      this.#log.info({ signal }, 'background task worker is closing')
      this.request(0)
    } else if (Date.now() - this.#requestedAt > ECHO) {
      this.#host.exit(codes[signal])
    }
  }

  readonly #onUncaught = (err: unknown): void => {
    if (this.#log.level === undefined) this.#host.stderr.write(complain(err))
    else this.#log.fatal({ err }, 'background task worker is closing, as something was thrown that nobody caught')
    this.request(1)
  }
}
