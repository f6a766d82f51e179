import type { JobInsert } from 'pg-boss'
import type { Job, JobError } from '../../../types/index.ts'
import { describeFailure } from '../../failure.ts'
import { type ResolvedOptions, seconds } from './options.ts'
import { fromStored, type StoredJson, toStored } from './stored-json.ts'

/** The column `data` of pg-boss. */
export interface RowData { readonly task: string, readonly data: StoredJson }

/** The column `output` of pg-boss. */
export interface RowOutput {
  readonly progress?: StoredJson
  readonly result?: StoredJson
  readonly error?: StoredJson
  /** Given up by another worker here; by pg-boss's own monitor below. */
  readonly stalled?: true
  readonly value?: { readonly message?: string }
}

const YEARS = 10 * 365 * 86_400
/** 23 days, the most for which pg-boss's own worker can set a timer. */
const LONGEST_RUN = 2_000_000

/**
 * A job as pg-boss stores it: it must neither expire while it waits or runs, which both are defaults of
 * pg-boss, nor run out of retries, which are the verdict's business. Only stalls are counted.
 *
 * @param place microseconds, negative, by which jobs stored with one statement differ: they have the same
 *   time of creation, and the index that they are fetched by then orders them by "start_after".
 */
export function toRow ({ id, task, data, delay, priority }: Job, place: number, options: ResolvedOptions): JobInsert {
  // None is early.
  const startAfter = (delay === 0 ? 0 : delay + 1) / 1e3 + place / 1e6
  return { id, priority, startAfter, expireInSeconds: LONGEST_RUN, ...toRowOptions(task, data, options) }
}

/** The part of a row that a job and a schedule have in common. */
export function toRowOptions (
  task: string, data: unknown, { lease, maxStalled, retention }: ResolvedOptions
): JobInsert & { data: RowData } {
  return {
    data: { task, data: toStored(data) },
    group: { id: task },
    heartbeatSeconds: seconds(lease),
    retryLimit: maxStalled - 1,
    retryDelay: 0,
    retryBackoff: false,
    retentionSeconds: YEARS,
    deleteAfterSeconds: seconds(retention.failed)
  }
}

export function failureOutput (error: JobError): RowOutput {
  return { error: toStored(describeFailure(error)) }
}

/**
 * The task and the data of a row, as far as they can be read: another program may have stored it.
 *
 * @param storedAt for rows that do not say when they were enqueued: those of a schedule.
 */
export function fromRow (row: unknown, storedAt: number): { task: string, data: unknown } {
  const { task, data: stored } = Object(row) as { task?: unknown, data?: unknown }
  const data = fromStored(stored)
  return {
    task: typeof task === 'string' ? task : '',
    data: typeof data === 'object' && data !== null && !Array.isArray(data) ? { enqueuedAt: storedAt, ...data } : data
  }
}
