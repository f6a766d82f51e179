import { AsyncLocalStorage } from 'node:async_hooks'
// Taken here, so that a test's fake timers do not hold up the delivery of jobs.
import { clearTimeout, setImmediate, setTimeout } from 'node:timers'
import type { FastifyBaseLogger } from 'fastify'
import type { Connection } from './connection.ts'
import type { Run, SqliteConsumer } from './consumer.ts'
import { isBusy } from './driver.ts'
import type { Leases } from './leases.ts'
import type { Schedules } from './schedules.ts'

export interface PumpOptions {
  /** ms */
  readonly pollInterval: number
  /** ms */
  readonly lease: number
}

/** ms, at random up to this, before a database that is locked is tried again. */
const BUSY_PAUSE = 32

/**
 * Moves jobs between the database and the consumers of this process. All that has to be written, for all
 * of them, goes into one transaction a turn: outcomes, renewed leases, new claims. An idle turn only reads.
 */
export class Pump {
  readonly #connection: Connection
  readonly #leases: Leases
  readonly #schedules: Schedules
  readonly #options: PumpOptions
  readonly #log: FastifyBaseLogger
  readonly #consumers = new Set<SqliteConsumer>()
  /** Jobs do not run in the async context of the request that woke this up. */
  readonly #apart = AsyncLocalStorage.snapshot()
  #timer: NodeJS.Timeout | undefined
  #awake = false
  #loading = false
  #lookAt = 0
  #renewAt = 0
  /** Since when nothing could be written, in ms since 1970. */
  #failingSince: number | undefined
  #trouble: Error | undefined

  constructor (connection: Connection, leases: Leases, schedules: Schedules, options: PumpOptions, log: FastifyBaseLogger) {
    this.#connection = connection
    this.#leases = leases
    this.#schedules = schedules
    this.#options = options
    this.#log = log
  }

  /** Why no job can be taken and no outcome recorded at present, unless it is only that others write. */
  get trouble (): Error | undefined {
    return this.#trouble
  }

  add (consumer: SqliteConsumer): void {
    this.#consumers.add(consumer)
    this.wake()
  }

  remove (consumer: SqliteConsumer): void {
    this.#consumers.delete(consumer)
    if (this.#consumers.size === 0) clearTimeout(this.#timer)
  }

  /** Has a look at the database in the next turn of the event loop. */
  wake (): void {
    if (this.#awake || this.#consumers.size === 0) return
    this.#awake = true
    setImmediate(() => this.#apart(() => this.#turn()))
  }

  /** A job of this process may have been cancelled. */
  look (): void {
    this.#lookAt = 0
    this.wake()
  }

  /** @throws FST_ERR_BGT_QUEUE_UNAVAILABLE */
  async progress ({ job, signal }: Run, value: unknown): Promise<void> {
    await this.#connection.write(() => this.#leases.progress(job, value), { signal })
  }

  /** Lets other workers have what a consumer has not finished. */
  async giveBack ({ runs }: SqliteConsumer): Promise<void> {
    const left = [...runs]
    for (const run of left) if (run.entry === undefined) run.lose()
    try {
      await this.#connection.write(() => {
        const now = Date.now()
        for (const { job, entry } of left) {
          if (entry === undefined) this.#leases.release(job)
          else this.#leases.record(job, entry, now)
        }
      })
    } catch (err) {
      this.#log.error({ err }, 'sqlite queue: jobs under way could not be given back, and run again when their leases end')
    }
    for (const run of left) run.consumer.forget(run)
  }

  #turn (): void {
    this.#awake = false
    clearTimeout(this.#timer)
    if (this.#consumers.size === 0) return
    try {
      const pause = this.#work(Date.now())
      this.#failingSince = this.#trouble = undefined
      this.#sleep(pause)
    } catch (error) {
      this.#fail(error, Date.now())
    }
  }

  #sleep (pause: number): void {
    this.#timer = setTimeout(() => this.#turn(), Math.max(pause, 1))
  }

  /** Returns the ms until there is something to do. */
  #work (now: number): number {
    const { pollInterval } = this.#options
    const runs = this.#runs()
    if (runs.length > 0 && now >= this.#lookAt) {
      this.#lookAt = now + pollInterval
      this.#abortRevoked(runs)
    }
    const next = this.#leases.peek()
    if (next.schedules !== Infinity) this.#loadSchedules()
    const due = Math.min(next.jobs, this.#schedules.ready ? next.schedules : Infinity, runs.length > 0 ? this.#renewAt : Infinity)
    if (due <= now || runs.some(({ entry }) => entry !== undefined) || this.#hungry().length > 0) {
      this.#write(runs, now)
      // More may be due, or wait for the room that is left.
      this.wake()
    }
    return Math.min(pollInterval, due - now)
  }

  #write (runs: Run[], now: number): void {
    const ended = runs.filter(({ entry }) => entry !== undefined)
    const renews = now >= this.#renewAt
    const { claims, expired, dropped } = this.#connection.transaction(() => {
      const dropped = ended.filter(({ job, entry }) => !this.#leases.record(job, entry!, now))
      if (renews && runs.length > 0) this.#leases.renew(runs.map(({ job }) => job), now)
      this.#leases.awake(now)
      const expired = this.#leases.expire(now)
      if (this.#schedules.ready) this.#schedules.fire(now)
      const claims = this.#hungry().map(consumer => ({ consumer, jobs: this.#leases.claim(consumer.queue, consumer.room, now) }))
      return { claims, expired, dropped }
    })
    if (renews) this.#renewAt = now + this.#options.lease / 3
    if (expired > 0) this.#log.warn({ jobs: expired }, 'sqlite queue: the leases of workers that died, or stood still, have ended, and their jobs run again')
    for (const { job: { id, task } } of dropped) this.#log.warn({ task, taskId: id }, 'sqlite queue: the outcome of a job that this worker has lost is dropped')
    for (const run of ended) run.consumer.forget(run)
    for (const { consumer, jobs } of claims) for (const job of jobs) consumer.deliver(job)
  }

  #abortRevoked (runs: Run[]): void {
    for (const { place, cancelling } of this.#leases.revoked(runs.map(({ job }) => job))) {
      if (cancelling) runs[place]!.cancel()
      else runs[place]!.lose()
    }
  }

  #loadSchedules (): void {
    if (this.#loading) return
    this.#loading = true
    this.#schedules.load().then(() => this.wake(), (err: unknown) => {
      this.#log.error({ err }, 'sqlite queue: there are schedules, and this worker cannot keep them')
    })
  }

  #fail (error: unknown, now: number): void {
    const busy = isBusy(error)
    if (!busy && this.#trouble === undefined) {
      this.#trouble = error as Error
      this.#log.error({ err: error }, 'sqlite queue: no job can be taken and no outcome recorded, which is tried again')
    }
    this.#failingSince ??= now
    if (now - this.#failingSince > this.#options.lease) this.#giveUpClosed()
    this.#sleep(busy ? Math.random() * BUSY_PAUSE : this.#options.pollInterval)
  }

  /** Outcomes that cannot be recorded do not hold up a close for ever: other workers have the jobs by now. */
  #giveUpClosed (): void {
    for (const run of this.#runs()) if (run.consumer.closed && run.entry !== undefined) run.consumer.forget(run)
  }

  #hungry (): SqliteConsumer[] {
    return [...this.#consumers].filter(({ queue, room }) => room > 0 && this.#leases.hasPending(queue))
  }

  #runs (): Run[] {
    return [...this.#consumers].flatMap(({ runs }) => [...runs])
  }
}
