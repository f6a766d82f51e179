import type { JobWithMetadata } from 'pg-boss'
import type { Cancellation, JobError, JobInfo, JobState } from '../../../types/index.ts'
import { FST_ERR_BGT_CANCELLED, FST_ERR_BGT_STALLED } from '../../errors.ts'
import { describeFailure } from '../../failure.ts'
import { isUuid } from '../../uuid.ts'
import { toJobInfo } from '../kit/job-info.ts'
import type { Engine } from './engine.ts'
import { failureOutput, fromRow, type RowOutput } from './job-row.ts'
import { fromStored } from './stored-json.ts'

export async function find (engine: Engine, id: string): Promise<JobInfo | null> {
  const row = await rowOf(engine, id)
  return row === undefined ? null : infoOf(row, engine.options.maxStalled)
}

export async function cancel (engine: Engine, id: string): Promise<Cancellation> {
  const row = await rowOf(engine, id)
  if (row === undefined) return 'not-found'
  const { database, cancelChannel } = engine
  const output = JSON.stringify(failureOutput(new FST_ERR_BGT_CANCELLED(fromRow(row.data, 0).task)))
  const { rows } = await database.query(engine.statementsOf(row.name).cancel, [row.name, id, output])
  if (rows.length > 0) return 'cancelled'
  const now = await rowOf(engine, id)
  if (now?.state !== 'active') return 'finished'
  await database.query('SELECT pg_notify($1, $2)', [cancelChannel, id])
  return 'running'
}

async function rowOf ({ boss, queues, database: { soon } }: Engine, id: string): Promise<JobWithMetadata | undefined> {
  if (!isUuid(id)) return undefined
  const found = await Promise.all(queues.map(queue => boss.findJobs<object>(queue, { id, db: soon })))
  return found.flat()[0]
}

function infoOf (row: JobWithMetadata, maxStalled: number): JobInfo {
  const { id, name: queue, retryCount, startedOn, completedOn, createdOn } = row
  const { task, data } = fromRow(row.data, createdOn.getTime())
  const { progress, result, error, ...output } = (row.output ?? {}) as RowOutput
  return toJobInfo({
    id,
    task,
    queue,
    state: stateOf(row),
    // A job whose last delivery did not count has no start.
    attempts: startedOn === null ? retryCount : retryCount + 1,
    owner: data.owner,
    enqueuedAt: data.enqueuedAt,
    progress: progress && fromStored(progress),
    result: result && fromStored(result),
    error: isStalled(row, output)
      ? describeFailure(new FST_ERR_BGT_STALLED(task, maxStalled))
      : error && fromStored(error) as JobError,
    startedAt: startedOn?.getTime(),
    endedAt: completedOn?.getTime()
  })
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
