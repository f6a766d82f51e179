import type { Cron } from 'croner'
import type { Schedule } from '../../../types/index.ts'
import { FST_ERR_BGT_INVALID_OPTIONS } from '../../errors.ts'
import { keyedId } from '../../uuid.ts'
import { importPeer } from '../kit/peer.ts'
import type { TroubleLog } from '../kit/trouble-log.ts'
import type { Connection } from './connection.ts'
import { insert } from './enqueue.ts'
import { DUE_SCHEDULES, PUT_SCHEDULE, REMOVE_SCHEDULE, SET_DUE } from './statements.ts'

interface DueSchedule {
  name: string
  cron: string
  timezone: string
  queue: string
  task: string
  data: string
  priority: number
  due: number
}

/** A job of a schedule, and its next time. */
interface Firing {
  readonly data: string
  readonly next: number | null
}

/** ms. Somebody may have set the schedule anew. */
const READ_AGAIN = 60_000

function importCroner (): Promise<{ Cron: typeof Cron }> {
  return importPeer('sqlite', 'croner', () => import('croner'))
}

/** Jobs that are enqueued again and again, by whichever worker is first. */
export class Schedules {
  readonly #connection: Connection
  readonly #log: TroubleLog
  readonly #import: typeof importCroner
  /** Names of those that this process cannot read, with the time at which it tries again. */
  readonly #unreadable = new Map<string, number>()
  #Cron: typeof Cron | undefined
  #loading: Promise<void> | undefined

  constructor (connection: Connection, log: TroubleLog, load: typeof importCroner = importCroner) {
    this.#connection = connection
    this.#log = log
    this.#import = load
  }

  get ready (): boolean {
    return this.#Cron !== undefined
  }

  /** @throws FST_ERR_BGT_MISSING_PEER */
  load (): Promise<void> {
    this.#loading ??= this.#import().then(({ Cron }) => { this.#Cron = Cron })
    return this.#loading
  }

  /** @throws FST_ERR_BGT_INVALID_OPTIONS, FST_ERR_BGT_QUEUE_UNAVAILABLE */
  async schedule ({ name, cron, timezone = 'UTC', queue, task, data, priority }: Schedule): Promise<void> {
    await this.load()
    const due = this.#firstTime(name, cron, timezone)
    const values = [name, cron, timezone, queue, task, JSON.stringify(data), priority, due]
    await this.#connection.write(() => this.#connection.run(PUT_SCHEDULE, ...values))
  }

  /** @throws FST_ERR_BGT_QUEUE_UNAVAILABLE */
  async unschedule (name: string): Promise<boolean> {
    return await this.#connection.write(() => this.#connection.run(REMOVE_SCHEDULE, name)) > 0
  }

  /** The names of those that this process cannot read, as JSON: they stay due, for others that can. */
  get unreadable (): string {
    const time = performance.now()
    for (const [name, until] of this.#unreadable) if (until <= time) this.#unreadable.delete(name)
    return JSON.stringify([...this.#unreadable.keys()])
  }

  /**
   * Enqueues what is due for these queues, once however many times were missed: of a queue that nobody works on, no
   * jobs pile up. Call it in a transaction, which keeps two workers from doing it for the same time.
   *
   * @param queues as JSON
   */
  fire (queues: string, now: number): void {
    for (const schedule of this.#connection.all<DueSchedule>(DUE_SCHEDULES, now, queues, this.unreadable)) {
      const { name, queue, task, priority, due } = schedule
      const firing = this.#read(schedule, now)
      if (firing === undefined) continue
      // The same in all processes.
      const id = keyedId('schedule', name, due)
      insert(this.#connection, { id, queue, task, priority: Number(priority), delay: 0 }, firing.data)
      this.#connection.run(SET_DUE, firing.next, name)
    }
  }

  /** Another release, or another version of croner or of the time zones, may have stored it. */
  #read ({ name, cron, timezone, data, queue, task }: DueSchedule, now: number): Firing | undefined {
    try {
      const stored = JSON.parse(data) as object
      return { data: JSON.stringify({ ...stored, enqueuedAt: now }), next: this.#next(cron, timezone, now) }
    } catch (err) {
      this.#unreadable.set(name, performance.now() + READ_AGAIN)
      const message = `the schedule "${name}" cannot be read here, and is left to other workers`
      this.#log.trouble(err, message, { queue, task }, `schedule ${name}`)
    }
  }

  #firstTime (name: string, cron: string, timezone: string): number {
    let due: number | null
    try {
      due = this.#next(cron, timezone, Date.now())
    } catch (cause) {
      throw new FST_ERR_BGT_INVALID_OPTIONS(`schedule "${name}"`, (cause as Error).message, { cause })
    }
    if (due === null) throw new FST_ERR_BGT_INVALID_OPTIONS(`schedule "${name}"`, `the time of "${cron}" never comes`)
    return due
  }

  #next (cron: string, timezone: string, now: number): number | null {
    const next = new this.#Cron!(cron, { timezone, mode: '5-or-6-parts' }).nextRun(new Date(now))
    return next === null ? null : next.getTime()
  }
}
