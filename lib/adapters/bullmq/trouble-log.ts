import type { FastifyBaseLogger } from 'fastify'

/** Logs what goes wrong in the background: each problem once, until the connection is back. */
export class Reporter {
  readonly #log: FastifyBaseLogger
  readonly #told = new Set<string>()
  /** Closing breaks connections, which then is no problem. */
  silent = false

  constructor (log: FastifyBaseLogger) {
    this.#log = log
  }

  readonly report = (err: Error): void => {
    if (this.silent || this.#told.has(err.message)) return
    this.#told.add(err.message)
    this.#log.error({ err }, 'background task queue failed')
  }

  readonly recover = (): void => {
    if (this.#told.size === 0) return
    this.#told.clear()
    this.#log.info('background task queue is connected again')
  }
}
