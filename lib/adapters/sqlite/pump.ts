import { AsyncLocalStorage } from 'node:async_hooks'
// Taken here, so that a test's fake timers do not hold up the delivery of jobs.
import { clearTimeout, setImmediate, setTimeout } from 'node:timers'
import type { TroubleLog } from '../kit/trouble-log.ts'
import type { Connection } from './connection.ts'
import type { SqliteDelivery } from './delivery.ts'
import { isBusy } from './driver.ts'
import type { Claimed, Leases } from './leases.ts'
import type { Schedules } from './schedules.ts'
import { PEEK } from './statements.ts'
import type { Suspects } from './suspects.ts'

export interface PumpOptions {
  /** ms */
  readonly pollInterval: number
  /** ms */
  readonly lease: number
}

/** A consumer, as the pump knows it. */
export interface Served {
  readonly queue: string
  readonly closed: boolean
  readonly deliveries: ReadonlySet<SqliteDelivery>
  /** How many more jobs may start once those that have ended are recorded. */
  readonly room: number
  deliver (lease: Claimed): void
  /** Lets go of deliveries that are recorded, or lost, where it has them. */
  forget (deliveries: Iterable<SqliteDelivery>): void
}

/** ms, at random up to this, before a database that is locked is tried again. */
const BUSY_PAUSE = 32

interface Peeked {
  /** Of the first job that waits for its time. */
  readonly due: number | null
  readonly firstLease: number | null
  readonly lastLease: number | null
  /** Of the first schedule. */
  readonly schedule: number | null
}

/** The kind of trouble that ends with the next turn that succeeds. */
const TURN = 'turn'

/**
 * Moves jobs between the database and the consumers of this process. All that has to be written, for all
 * of them, goes into one transaction a turn: outcomes, renewed leases, new claims. Its states:
 *
 * - Stopped: it has no consumers. The first one that is added makes it awake.
 * - Awake: it takes a turn in this round of the event loop. A turn aborts lost jobs and looks what is due.
 *   With something to write, it writes, and is awake again, as more may be due. With nothing, it is asleep.
 * - Asleep: until the next job or schedule is due, at most `pollInterval`; while it watches leases that are late,
 *   until the next look at them. Then it takes a turn. A job that was enqueued here, a run that has ended, or a new
 *   consumer makes it awake before.
 * - Failing: the turn threw, as the database is locked or broken. It takes the turn again, soon or after
 *   `pollInterval`, and forgets which leases were late: nobody could renew one. A turn that succeeds ends the state.
 *   After a lease, closed consumers wait no longer.
 * - From each of them, the last consumer that is removed stops it.
 *
 * What is due, and until when a lease runs, is told by the clock, which all processes share. What this process is to
 * do next by itself is told by its own time, which nobody sets.
 */
export class Pump {
  readonly #connection: Connection
  readonly #leases: Leases
  readonly #suspects: Suspects
  readonly #schedules: Schedules
  readonly #options: PumpOptions
  readonly #log: TroubleLog
  readonly #consumers = new Set<Served>()
  /** Jobs do not run in the async context of the request that woke this up. */
  readonly #apart = AsyncLocalStorage.snapshot()
  #timer: NodeJS.Timeout | undefined
  #awake = false
  #loading = false
  /** In ms of this process, as all below. */
  #lookAt = 0
  #renewAt = 0
  /** Since when nothing could be written. */
  #failingSince: number | undefined
  #trouble: Error | undefined

  constructor (
    connection: Connection, leases: Leases, suspects: Suspects, schedules: Schedules, options: PumpOptions,
    log: TroubleLog
  ) {
    this.#connection = connection
    this.#leases = leases
    this.#suspects = suspects
    this.#schedules = schedules
    this.#options = options
    this.#log = log
  }

  /** Why no job can be taken and no outcome recorded at present, unless it is only that others write. */
  get trouble (): Error | undefined {
    return this.#trouble
  }

  add (consumer: Served): void {
    this.#consumers.add(consumer)
    this.wake()
  }

  remove (consumer: Served): void {
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
  async progress ({ lease, job }: SqliteDelivery, value: unknown): Promise<void> {
    await this.#connection.write(() => this.#leases.progress(lease, value), job)
  }

  /** Lets other workers have what a consumer has not finished. */
  async giveBack (consumer: Served): Promise<void> {
    const left = [...consumer.deliveries]
    for (const { entry, job } of left) if (entry === undefined) job.abort('closed')
    try {
      await this.#connection.write(() => {
        const now = Date.now()
        for (const { lease, entry } of left) {
          if (entry === undefined) this.#leases.release(lease, now)
          else this.#leases.record(lease, entry, now)
        }
      })
    } catch (err) {
      const { queue } = consumer
      this.#log.error('jobs under way could not be given back, and run again when their leases end', { queue, err })
    }
    consumer.forget(left)
  }

  #turn (): void {
    this.#awake = false
    clearTimeout(this.#timer)
    if (this.#consumers.size === 0) return
    try {
      const pause = this.#work(Date.now(), performance.now())
      this.#recover()
      this.#sleep(pause)
    } catch (error) {
      this.#fail(error, performance.now())
    }
  }

  #sleep (pause: number): void {
    this.#timer = setTimeout(() => this.#turn(), Math.max(pause, 1))
  }

  /**
   * Returns the ms until there is something to do.
   *
   * @param now ms since 1970
   * @param time ms of this process
   */
  #work (now: number, time: number): number {
    const { pollInterval, lease } = this.#options
    const deliveries = this.#deliveries()
    if (deliveries.length > 0 && time >= this.#lookAt) {
      this.#lookAt = time + Math.min(pollInterval, lease / 3)
      this.#abortRevoked(deliveries)
    }
    const { due, firstLease, lastLease, schedule } = this.#peek()
    if (schedule !== null) this.#loadSchedules()
    const fires = this.#schedules.ready ? timeOf(schedule) : Infinity
    const renewAt = deliveries.length > 0 ? this.#renewAt : Infinity
    const pause = Math.min(timeOf(due) - now, fires - now, renewAt - time)
    const areLate = timeOf(firstLease) <= now || Number(lastLease) > now + lease
    const hasToWrite = pause <= 0 || (areLate && this.#suspects.isDue(time)) ||
      deliveries.some(({ entry }) => entry !== undefined) || this.#hungry().length > 0
    if (hasToWrite) {
      this.#write(deliveries, now, time)
      // More may be due, or wait for the room that is left.
      this.wake()
    }
    return Math.min(pollInterval, pause, areLate ? this.#suspects.pause : Infinity)
  }

  #peek (): Peeked {
    return this.#connection.all<Peeked>(PEEK, this.#queues(), this.#schedules.unreadable)[0]!
  }

  #write (deliveries: SqliteDelivery[], now: number, time: number): void {
    const ended = deliveries.filter(({ entry }) => entry !== undefined)
    const renews = time >= this.#renewAt
    const { claims, expired, dropped } = this.#connection.transaction(() => {
      const dropped = new Set(ended.filter(({ lease, entry }) => !this.#leases.record(lease, entry!, now)))
      if (renews && deliveries.length > 0) this.#leases.renew(deliveries.map(({ lease }) => lease), now)
      this.#leases.awake(now)
      const expired = this.#suspects.isDue(time) ? this.#suspects.expire(now, time) : 0
      if (this.#schedules.ready) this.#schedules.fire(this.#queues(), now)
      const claims = this.#hungry()
        .map(consumer => ({ consumer, leases: this.#leases.claim(consumer.queue, consumer.room, now) }))
      return { claims, expired, dropped }
    })
    if (renews) this.#renewAt = time + this.#options.lease / 3
    this.#tell(ended, dropped, expired)
    for (const consumer of this.#consumers) consumer.forget(ended)
    for (const { consumer, leases } of claims) for (const lease of leases) consumer.deliver(lease)
  }

  #tell (ended: SqliteDelivery[], dropped: Set<SqliteDelivery>, expired: number): void {
    if (expired > 0) {
      const message = 'the leases of workers that died, or stood still, have ended, and their jobs run again'
      this.#log.warn(message, { jobs: expired })
    }
    for (const { job: { queue, task, id: taskId } } of dropped) {
      this.#log.warn('the outcome of a job that this worker has lost is dropped', { queue, task, taskId })
    }
    for (const delivery of ended) {
      const { lease: { exhausted, stalls }, job: { queue, task, id: taskId } } = delivery
      if (exhausted && !dropped.has(delivery)) this.#log.givenUp({ queue, task, taskId }, stalls)
    }
  }

  #abortRevoked (deliveries: SqliteDelivery[]): void {
    for (const { place, cancelling } of this.#leases.revoked(deliveries.map(({ lease }) => lease))) {
      deliveries[place]!.job.abort(cancelling ? 'cancelled' : 'lost')
    }
  }

  #loadSchedules (): void {
    if (this.#loading) return
    this.#loading = true
    this.#schedules.load().then(() => this.wake(), (err: unknown) => {
      this.#log.error('there are schedules, and this worker cannot keep them', { err })
    })
  }

  #recover (): void {
    this.#failingSince = undefined
    if (this.#trouble === undefined) return
    this.#trouble = undefined
    this.#log.cured('jobs are taken, and outcomes recorded, again', TURN)
  }

  #fail (error: unknown, time: number): void {
    const busy = isBusy(error)
    this.#suspects.forget()
    if (!busy) {
      this.#trouble ??= error as Error
      this.#log.trouble(error, 'no job can be taken and no outcome recorded, which is tried again', {}, TURN)
    }
    this.#failingSince ??= time
    if (time - this.#failingSince > this.#options.lease) this.#giveUpClosed()
    this.#sleep(busy ? Math.random() * BUSY_PAUSE : this.#options.pollInterval)
  }

  /** Outcomes that cannot be recorded do not hold up a close for ever: other workers have the jobs by now. */
  #giveUpClosed (): void {
    for (const consumer of this.#consumers) {
      if (consumer.closed) consumer.forget([...consumer.deliveries].filter(({ entry }) => entry !== undefined))
    }
  }

  #hungry (): Served[] {
    return [...this.#consumers].filter(({ queue, room }) => room > 0 && this.#leases.hasPending(queue))
  }

  /** As JSON. */
  #queues (): string {
    return JSON.stringify(Array.from(this.#consumers).filter(({ closed }) => !closed).map(({ queue }) => queue))
  }

  #deliveries (): SqliteDelivery[] {
    return [...this.#consumers].flatMap(({ deliveries }) => [...deliveries])
  }
}

function timeOf (value: number | null): number {
  return value === null ? Infinity : Number(value)
}
