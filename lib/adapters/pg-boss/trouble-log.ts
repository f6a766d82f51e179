import type { FastifyBaseLogger } from 'fastify'
import { isUnavailable } from '../../unavailable.ts'

/** ms */
const SILENCE = 10_000
const uuid = /[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}/g

/** Tells the log of troubles, each once: a server that is down is asked several times a second. */
export class Journal {
  readonly #log: FastifyBaseLogger
  readonly #told = new Set<string>()
  #down = false
  #downSince = -Infinity

  constructor (log: FastifyBaseLogger) {
    this.#log = log
  }

  /** After each statement: with the error if the server did not answer. */
  connection (error?: Error): void {
    if (this.#down === (error !== undefined)) return
    // Where some statements are answered and others are not, once a while will do.
    if (error !== undefined && performance.now() - this.#downSince < SILENCE) return
    this.#down = error !== undefined
    if (error === undefined) return this.#log.info('the queue\'s PostgreSQL answers again')
    this.#downSince = performance.now()
    this.#log.error({ err: error }, 'the queue\'s PostgreSQL does not answer')
  }

  trouble (err: unknown, message: string): void {
    if (!isUnavailable(err) && this.#isNew((err as Error).message)) this.#log.error({ err }, message)
  }

  warning ({ message, data }: { message: string, data?: object }): void {
    if (this.#isNew(message)) this.#log.warn({ data }, `pg-boss: ${message}`)
  }

  givenUp (jobId: string, task: string, times: number): void {
    this.#log.error({ jobId, task }, `background task failed for good: ${times} workers in a row died, or lost the job, while they ran it`)
  }

  #isNew (message: string): boolean {
    const kind = message.replace(uuid, '')
    if (this.#told.has(kind)) return false
    this.#told.add(kind)
    return true
  }
}
