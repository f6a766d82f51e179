import type { Cron } from 'croner'
import type { Schedule } from '../../../types/index.ts'
import { FST_ERR_BGT_INVALID_OPTIONS } from '../../errors.ts'
import { keyedId } from '../../uuid.ts'
import { importPeer } from '../kit/peer.ts'
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

function importCroner (): Promise<{ Cron: typeof Cron }> {
  return importPeer('sqlite', 'croner', () => import('croner'))
}

/** Jobs that are enqueued again and again, by whichever worker is first. */
export class Schedules {
  readonly #connection: Connection
  readonly #import: typeof importCroner
  #Cron: typeof Cron | undefined
  #loading: Promise<void> | undefined

  constructor (connection: Connection, load: typeof importCroner = importCroner) {
    this.#connection = connection
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

  /**
   * Enqueues what is due, once however many times were missed. Call it in a transaction, which keeps two
   * workers from doing it for the same time.
   */
  fire (now: number): void {
    for (const schedule of this.#connection.all<DueSchedule>(DUE_SCHEDULES, now)) {
      const { name, cron, timezone, queue, task, priority, due } = schedule
      const data = JSON.stringify({ ...JSON.parse(schedule.data), enqueuedAt: now })
      // The same in all processes.
      const id = keyedId('schedule', name, due)
      insert(this.#connection, { id, queue, task, priority: Number(priority), delay: 0 }, data)
      this.#connection.run(SET_DUE, this.#next(cron, timezone, now), name)
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
