import type { JobInsert, JobWithMetadata } from 'pg-boss'
import type { Job, JobData, JobInfo, JobState } from '../../../types/index.ts'
import { FST_ERR_BGT_STALLED } from '../../errors.ts'
import { describeFailure, type Failure } from '../../failure.ts'
import { seconds, type Settings } from './options.ts'
import { fromStored, type StoredJson, toStored } from './stored-json.ts'

/** What pg-boss keeps as `data`. */
export interface RowData { readonly task: string, readonly data: StoredJson }

/** What pg-boss keeps as `output`. */
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
export function toRow ({ id, task, data, delay, priority }: Job, place: number, settings: Settings): JobInsert {
  // None is early.
  const startAfter = (delay === 0 ? 0 : delay + 1) / 1e3 + place / 1e6
  return { id, priority, startAfter, expireInSeconds: LONGEST_RUN, ...toRowOptions(task, data, settings) }
}

/** What a job shares with those of a schedule. */
export function toRowOptions (task: string, data: unknown, { lease, maxStalled, retention }: Settings): JobInsert & { data: RowData } {
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

export function failureOutput (error: Error): RowOutput {
  return { error: toStored(describeFailure(error)) }
}

/**
 * The task and the data of a row, also of one that was not stored by this adapter.
 *
 * @param storedAt for rows that do not say when they were enqueued: those of a schedule, and foreign ones.
 */
export function fromRow (row: unknown, storedAt: number): { task: string, data: JobData } {
  const { task, data } = (row ?? {}) as Partial<RowData>
  const foreign = typeof task !== 'string' || typeof data !== 'object'
  const known = foreign ? { payload: row, version: 0 } : fromStored(data) as JobData
  return { task: foreign ? '' : task, data: { enqueuedAt: storedAt, ...known } }
}

export function toInfo (row: JobWithMetadata, maxStalled: number): JobInfo {
  const { id, name, retryCount, startedOn, completedOn, createdOn } = row
  const { task, data } = fromRow(row.data, createdOn.getTime())
  const output = (row.output ?? {}) as RowOutput
  const error = isStalled(row, output) ? describeFailure(new FST_ERR_BGT_STALLED(task, maxStalled)) : output.error && fromStored(output.error) as Failure
  return {
    id,
    task,
    queue: name,
    state: stateOf(row),
    // A job whose last delivery did not count has no start.
    attempts: startedOn === null ? retryCount : retryCount + 1,
    enqueuedAt: data.enqueuedAt,
    ...(output.progress !== undefined && { progress: fromStored(output.progress) }),
    ...(output.result !== undefined && { result: fromStored(output.result) }),
    ...(error !== undefined && { error }),
    ...(startedOn !== null && { startedAt: startedOn.getTime() }),
    ...(completedOn !== null && { endedAt: completedOn.getTime() })
  }
}

function stateOf ({ state, startAfter, startedOn }: JobWithMetadata): JobState {
  if (state === 'active') return 'running'
  if (state !== 'created' && state !== 'retry') return state
  if (startAfter.getTime() <= Date.now()) return 'pending'
  return startedOn === null ? 'scheduled' : 'retrying'
}

function isStalled ({ state }: JobWithMetadata, { stalled, value }: RowOutput): boolean {
  return state === 'failed' && (stalled === true || value?.message === 'job heartbeat timeout')
}
