import { setImmediate } from 'node:timers/promises'
import type { TroubleLog } from '../kit/trouble-log.ts'
import type { Connection } from './connection.ts'
import { DELETE } from './statements.ts'

const LONGEST_PAUSE = 60_000
const SHORTEST_PAUSE = 500
/** ms. A batch that took longer is followed by a smaller one. */
const LONGEST_BATCH = 10
const LARGEST_BATCH = 1_000

/** Deletes the jobs that ended long ago, a few at a time, so that neither the event loop nor another process waits. */
export class Sweeper {
  readonly #connection: Connection
  readonly #retention: Readonly<Record<'completed' | 'cancelled' | 'failed', number>>
  readonly #log: TroubleLog
  #timer: NodeJS.Timeout | undefined
  #batch = 100
  #stopped = false

  constructor (connection: Connection, retention: { completed: number, failed: number }, log: TroubleLog) {
    const { completed, failed } = retention
    this.#connection = connection
    this.#retention = { completed, cancelled: completed, failed }
    this.#log = log
  }

  start (): void {
    const shortest = Math.min(...Object.values(this.#retention))
    const pause = Math.min(LONGEST_PAUSE, Math.max(SHORTEST_PAUSE, shortest / 2))
    this.#timer ??= setTimeout(() => {
      void this.#sweepAll().then(() => {
        this.#timer = undefined
        if (!this.#stopped) this.start()
      })
    }, pause).unref()
  }

  stop (): void {
    this.#stopped = true
    clearTimeout(this.#timer)
  }

  async #sweepAll (): Promise<void> {
    try {
      for (const [state, retention] of Object.entries(this.#retention)) await this.#sweep(state, retention)
    } catch (err) {
      if (!this.#stopped) this.#log.warn('jobs that ended long ago could not be deleted, which is tried again', { err })
    }
  }

  async #sweep (state: string, retention: number): Promise<void> {
    let deleted: number
    do {
      const began = performance.now()
      const batch = this.#batch
      deleted = await this.#connection.write(() => this.#connection.run(DELETE, state, Date.now() - retention, batch))
      const tooLong = performance.now() - began > LONGEST_BATCH
      this.#batch = tooLong ? Math.ceil(batch / 2) : Math.min(2 * batch, LARGEST_BATCH)
      await setImmediate()
      if (deleted < batch) return
    } while (!this.#stopped)
  }
}
