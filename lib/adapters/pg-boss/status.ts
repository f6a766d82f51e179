import type { Cancellation, JobError, JobInfo, JobState } from '../../../types/index.ts'
import { FST_ERR_BGT_CANCELLED, FST_ERR_BGT_STALLED } from '../../errors.ts'
import { describeFailure } from '../../failure.ts'
import { isUuid } from '../../uuid.ts'
import { toJobInfo } from '../kit/job-info.ts'
import type { Engine } from './engine.ts'
import { failureOutput, fromRow, type RowOutput } from './job-row.ts'
import { type FoundRow, find as findStatement } from './statements.ts'
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
  const values = [row.name, id, output, cancelChannel]
  const { rows: [asked] } = await database.query<FoundRow>(engine.statementsOf(row.name).cancel, values)
  if (asked === undefined) return 'finished'
  return asked.state === 'cancelled' ? 'cancelled' : 'running'
}

async function rowOf ({ database, options, queues }: Engine, id: string): Promise<FoundRow | undefined> {
  if (!isUuid(id)) return undefined
  const { rows } = await database.query<FoundRow>(findStatement(options.schema), [queues, id])
  return rows[0]
}

function infoOf (row: FoundRow, maxStalled: number): JobInfo {
  const { id, name: queue, attempts, storedAt, startedAt, endedAt } = row
  const { task, data } = fromRow(row.data, storedAt)
  const { owner, enqueuedAt } = Object(data) as { owner?: unknown, enqueuedAt?: unknown }
  const { progress, result, error, ...output } = Object(row.output) as RowOutput
  return toJobInfo({
    id,
    task,
    queue,
    state: stateOf(row),
    attempts,
    owner: typeof owner === 'string' ? owner : undefined,
    enqueuedAt: typeof enqueuedAt === 'number' ? enqueuedAt : storedAt,
    progress: fromStored(progress),
    result: fromStored(result),
    error: isStalled(row, output)
      ? describeFailure(new FST_ERR_BGT_STALLED(task, maxStalled))
      : fromStored(error) as JobError | undefined,
    startedAt: startedAt ?? undefined,
    endedAt: endedAt ?? undefined
  })
}

function stateOf ({ state, isDue, startedAt }: FoundRow): JobState {
  if (state === 'active') return 'running'
  if (state !== 'created' && state !== 'retry') return state
  if (isDue) return 'pending'
  return startedAt === null ? 'scheduled' : 'retrying'
}

function isStalled ({ state }: FoundRow, { stalled, value }: RowOutput): boolean {
  return state === 'failed' && (stalled === true || value?.message === 'job heartbeat timeout')
}
