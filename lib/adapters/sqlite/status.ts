import type { Cancellation, JobError, JobInfo, JobState } from '../../../types/index.ts'
import { FST_ERR_BGT_CANCELLED } from '../../errors.ts'
import { describeFailure } from '../../failure.ts'
import { toJobInfo } from '../kit/job-info.ts'
import { readJson } from '../kit/stored-json.ts'
import type { Connection } from './connection.ts'
import { ASK_TO_CANCEL, CANCEL, FIND } from './statements.ts'

interface Found {
  queue: string
  task: string
  state: JobState
  due: number
  attempts: number
  progress: string | null
  result: string | null
  error: string | null
  owner: string | null
  enqueued_at: number
  started_at: number | null
  ended_at: number | null
}

export function find (connection: Connection, id: string): JobInfo | null {
  const [found] = connection.all<Found>(FIND, id)
  if (found === undefined) return null
  const { queue, task, state, due, attempts, progress, result, error, enqueued_at: enqueuedAt } = found
  return toJobInfo({
    id,
    queue,
    task,
    // Where no worker runs, nobody has moved it yet.
    state: state === 'scheduled' && due <= Date.now() ? 'pending' : state,
    attempts: Number(attempts),
    owner: fromColumn(found.owner, String),
    enqueuedAt: Number(enqueuedAt),
    progress: fromColumn(progress, readJson),
    result: fromColumn(result, readJson),
    error: (fromColumn(error, readJson) as JobError | undefined) ?? errorOf(state, task),
    startedAt: fromColumn(found.started_at, Number),
    endedAt: fromColumn(found.ended_at, Number)
  })
}

/** A worker died, or gave the job back, before it could record the end that somebody had asked for. */
function errorOf (state: JobState, task: string): JobError | undefined {
  return state === 'cancelled' ? describeFailure(new FST_ERR_BGT_CANCELLED(task)) : undefined
}

/** Call it in a transaction. */
export function cancel (connection: Connection, id: string): Cancellation {
  const job = find(connection, id)
  if (job === null) return 'not-found'
  if (connection.run(CANCEL, Date.now(), id) > 0) return 'cancelled'
  return connection.run(ASK_TO_CANCEL, id) > 0 ? 'running' : 'finished'
}

function fromColumn<Column, Value> (column: Column | null, read: (column: Column) => Value): Value | undefined {
  return column === null ? undefined : read(column)
}
