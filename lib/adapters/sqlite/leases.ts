import { readJson } from '../kit/stored-json.ts'
import type { Connection } from './connection.ts'
import { AWAKE, BATCH, CLAIM, HAS_PENDING, PROGRESS, RECORD, RELEASE, RENEW, REVOKED } from './statements.ts'
import type { Entry } from './verdicts.ts'

/** A job is lent to a worker until the lease ends. The number of its delivery tells that worker from the next one. */
export interface Lease {
  readonly sequence: number
  readonly delivery: number
}

export interface Claimed extends Lease {
  readonly id: string
  readonly task: string
  readonly data: unknown
  readonly attempt: number
  /** How many workers in a row have died, or lost the job, while they ran it. */
  readonly stalls: number
  /** Too many of them: it is not to be run again. */
  readonly exhausted: boolean
}

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

/** A worker's hold on its jobs. Call what changes something in a transaction. */
export class Leases {
  readonly #connection: Connection
  readonly #length: number
  readonly #maxStalled: number

  constructor (connection: Connection, length: number, maxStalled: number) {
    this.#connection = connection
    this.#length = length
    this.#maxStalled = maxStalled
  }

  hasPending (queue: string): boolean {
    return this.#connection.all(HAS_PENDING, queue).length > 0
  }

  /** Jobs whose time has come. */
  awake (now: number): void {
    this.#connection.run(AWAKE, now, now)
  }

  claim (queue: string, count: number, now: number): Claimed[] {
    const limit = Math.min(count, BATCH)
    return this.#connection.all<Taken>(CLAIM, this.#end(now), now, this.#maxStalled, queue, limit)
      // SQLite returns them in the order in which it found the rows.
      .sort(inOrder)
      .map(({ sequence, deliveries, id, task, data, attempts, stalls }) => ({
        sequence: Number(sequence),
        delivery: Number(deliveries),
        id,
        task,
        data: readJson(data),
        attempt: Number(attempts),
        stalls: Number(stalls),
        exhausted: stalls >= this.#maxStalled
      }))
  }

  renew (leases: Iterable<Lease>, now: number): void {
    this.#connection.run(RENEW, this.#end(now), toJSON(leases))
  }

  /** Which of them are not held any more, or are for a job that is to be cancelled. */
  revoked (leases: Iterable<Lease>): { place: number, cancelling: boolean }[] {
    return this.#connection.all<{ place: number, cancelling: number | null }>(REVOKED, toJSON(leases))
      .map(({ place, cancelling }) => ({ place: Number(place), cancelling: Boolean(cancelling) }))
  }

  /** Whether the lease was still held. Otherwise nothing has changed. */
  record ({ sequence, delivery }: Lease, entry: Entry, now: number): boolean {
    const { state, delay, uncounted, result, error } = entry
    const endedAt = delay === undefined ? now : null
    const values = [state, now + (delay ?? 0), result ?? null, error ?? null, endedAt, uncounted ? 1 : 0]
    return this.#connection.run(RECORD, ...values, sequence, delivery) > 0
  }

  /** Gives a job back before its lease has ended. */
  release ({ sequence, delivery }: Lease, now: number): void {
    this.#connection.run(RELEASE, now, sequence, delivery)
  }

  progress ({ sequence, delivery }: Lease, value: unknown): void {
    this.#connection.run(PROGRESS, JSON.stringify(value) ?? null, sequence, delivery)
  }

  /** When others begin to watch a lease that is not renewed, for the third that is left of it. */
  #end (now: number): number {
    return now + Math.ceil(this.#length * 2 / 3)
  }
}

function inOrder (a: Taken, b: Taken): number {
  return Number(b.priority) - Number(a.priority) || Number(a.due) - Number(b.due) ||
    Number(a.sequence) - Number(b.sequence)
}

function toJSON (leases: Iterable<Lease>): string {
  return JSON.stringify(Array.from(leases, ({ sequence, delivery }) => [sequence, delivery]))
}
