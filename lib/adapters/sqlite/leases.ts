import type { JobData, JobVerdict } from '../../../types/index.ts'
import { describeFailure } from '../../failure.ts'
import type { Connection } from './connection.ts'

/** A job is lent to a worker until the lease ends. The number of its delivery tells that worker from the next one. */
export interface Lease {
  readonly sequence: number
  readonly delivery: number
}

export interface Claimed extends Lease {
  readonly id: string
  readonly task: string
  readonly data: JobData
  readonly attempt: number
  /** How many workers in a row have died, or lost the job, while they ran it. */
  readonly stalls: number
  /** Too many of them: it is not to be run again. */
  readonly exhausted: boolean
}

/** What is kept of a verdict. */
export interface Entry {
  readonly state: 'completed' | 'failed' | 'cancelled' | 'retrying' | 'scheduled'
  /** ms from now until it is due again. */
  readonly delay?: number
  readonly uncounted?: boolean
  readonly result?: string
  readonly error?: string
}

export function toEntry (verdict: JobVerdict): Entry {
  if (verdict.state === 'completed') return { state: 'completed', ...(verdict.result !== undefined && { result: JSON.stringify(verdict.result) }) }
  const error = JSON.stringify(describeFailure(verdict.error))
  switch (verdict.state) {
    case 'retrying':
      return { state: 'retrying', delay: Math.ceil(verdict.delay), error }
    case 'postponed':
      return { state: 'scheduled', delay: Math.ceil(verdict.delay), uncounted: true, error }
    default:
      return { state: verdict.state, error }
  }
}

/** More would block the event loop for too long. */
const BATCH = 500

export const CLAIM: string = `
  update background_tasks_jobs
  set state = 'running', lease = ?, started_at = ?, deliveries = deliveries + 1, attempts = attempts + (stalls < ?)
  where sequence in (
    select sequence from background_tasks_jobs where queue = ? and state = 'pending'
    order by priority desc, due, sequence limit ?
  )
  returning sequence, deliveries, id, task, data, attempts, stalls, priority, due`

export const AWAKE: string = `
  update background_tasks_jobs
  set state = iif(cancelling, 'cancelled', 'pending'), ended_at = iif(cancelling, ?, null)
  where sequence in (
    select sequence from background_tasks_jobs where state in ('scheduled', 'retrying') and due <= ?
    order by due limit ${BATCH}
  )`

export const EXPIRE: string = `
  update background_tasks_jobs
  set state = iif(cancelling, 'cancelled', 'pending'), ended_at = iif(cancelling, ?, null), stalls = stalls + 1, lease = null
  where state = 'running' and lease <= ?`

export const PEEK: string = `
  select
    (select min(due) from background_tasks_jobs where state in ('scheduled', 'retrying')) as due,
    (select min(lease) from background_tasks_jobs where state = 'running') as lease,
    (select min(due) from background_tasks_schedules) as schedule`

export const HAS_PENDING: string = "select 1 from background_tasks_jobs where queue = ? and state = 'pending' limit 1"

const HELD = "where sequence = ? and deliveries = ? and state = 'running'"

const RECORD = `
  update background_tasks_jobs
  set state = ?, due = ?, result = ?, error = coalesce(?, error), ended_at = ?, attempts = attempts - ?, stalls = 0, lease = null
  ${HELD}`

const RENEW = `
  update background_tasks_jobs set lease = ? from json_each(?) as held
  where sequence = held.value ->> 0 and deliveries = held.value ->> 1 and state = 'running'`

const REVOKED = `
  select held.key as place, job.cancelling
  from json_each(?) as held left join background_tasks_jobs as job
    on job.sequence = held.value ->> 0 and job.deliveries = held.value ->> 1 and job.state = 'running'
  where job.sequence is null or job.cancelling`

const RELEASE = `update background_tasks_jobs set state = 'pending', lease = null ${HELD}`
const PROGRESS = `update background_tasks_jobs set progress = ? ${HELD}`

interface Taken {
  sequence: number
  deliveries: number
  id: string
  task: string
  data: string
  attempts: number
  stalls: number
  priority: number
  due: number
}

/** What a worker does with jobs. All that changes something is to be called in a transaction. */
export class Leases {
  readonly #connection: Connection
  readonly #length: number
  readonly #maxStalled: number

  constructor (connection: Connection, length: number, maxStalled: number) {
    this.#connection = connection
    this.#length = length
    this.#maxStalled = maxStalled
  }

  /** When something is due next, in ms since 1970. It may be past. */
  peek (): { readonly jobs: number, readonly schedules: number } {
    const [row] = this.#connection.all<Record<'due' | 'lease' | 'schedule', number | null>>(PEEK)
    const { due, lease, schedule } = row!
    return { jobs: Math.min(time(due), time(lease)), schedules: time(schedule) }
  }

  hasPending (queue: string): boolean {
    return this.#connection.all(HAS_PENDING, queue).length > 0
  }

  /** Jobs whose time has come. */
  awake (now: number): void {
    this.#connection.run(AWAKE, now, now)
  }

  /** Takes jobs from workers that have not renewed their leases, and says from how many. */
  expire (now: number): number {
    return this.#connection.run(EXPIRE, now, now)
  }

  claim (queue: string, count: number, now: number): Claimed[] {
    const limit = Math.min(count, BATCH)
    return this.#connection.all<Taken>(CLAIM, now + this.#length, now, this.#maxStalled, queue, limit)
      // SQLite returns them in the order in which it found the rows.
      .sort((a, b) => Number(b.priority) - Number(a.priority) || Number(a.due) - Number(b.due) || Number(a.sequence) - Number(b.sequence))
      .map(({ sequence, deliveries, id, task, data, attempts, stalls }) => ({
        sequence: Number(sequence),
        delivery: Number(deliveries),
        id,
        task,
        data: JSON.parse(data) as JobData,
        attempt: Number(attempts),
        stalls: Number(stalls),
        exhausted: stalls >= this.#maxStalled
      }))
  }

  renew (leases: Iterable<Lease>, now: number): void {
    this.#connection.run(RENEW, now + this.#length, toJSON(leases))
  }

  /** Which of them are not held any more, or are for a job that is to be cancelled. */
  revoked (leases: Iterable<Lease>): { place: number, cancelling: boolean }[] {
    return this.#connection.all<{ place: number, cancelling: number | null }>(REVOKED, toJSON(leases))
      .map(({ place, cancelling }) => ({ place: Number(place), cancelling: Boolean(cancelling) }))
  }

  /** Whether the lease was still held. Otherwise nothing has changed. */
  record ({ sequence, delivery }: Lease, { state, delay, uncounted, result, error }: Entry, now: number): boolean {
    const endedAt = delay === undefined ? now : null
    const changes = this.#connection.run(RECORD, state, now + (delay ?? 0), result ?? null, error ?? null, endedAt, uncounted ? 1 : 0, sequence, delivery)
    return changes > 0
  }

  /** Gives a job back before its lease has ended. */
  release ({ sequence, delivery }: Lease): void {
    this.#connection.run(RELEASE, sequence, delivery)
  }

  progress ({ sequence, delivery }: Lease, value: unknown): void {
    this.#connection.run(PROGRESS, JSON.stringify(value) ?? null, sequence, delivery)
  }
}

function toJSON (leases: Iterable<Lease>): string {
  return JSON.stringify(Array.from(leases, ({ sequence, delivery }) => [sequence, delivery]))
}

function time (value: number | null): number {
  return value === null ? Infinity : Number(value)
}
