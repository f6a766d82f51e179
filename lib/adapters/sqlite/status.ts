import type { Cancellation, Job, JobInfo, JobState, Receipt } from '../../../types/index.ts'
import { FST_ERR_BGT_CANCELLED } from '../../errors.ts'
import { describeFailure, type Failure } from '../../failure.ts'
import type { Connection } from './connection.ts'

const INSERT = `
  insert into background_tasks_jobs (id, queue, task, data, priority, state, due, enqueued_at)
  values (?, ?, ?, ?, ?, ?, ?, ?)
  on conflict (id) do nothing`

const FIND = `
  select queue, task, state, due, attempts, progress, result, error, enqueued_at, started_at, ended_at
  from background_tasks_jobs where id = ?`

const CANCEL = `
  update background_tasks_jobs set state = 'cancelled', error = ?, ended_at = ?
  where id = ? and state in ('pending', 'scheduled', 'retrying')`

const ASK_TO_CANCEL = "update background_tasks_jobs set cancelling = 1 where id = ? and state = 'running'"

interface Found {
  queue: string
  task: string
  state: JobState
  due: number
  attempts: number
  progress: string | null
  result: string | null
  error: string | null
  enqueued_at: number
  started_at: number | null
  ended_at: number | null
}

/** To be called in a transaction. `data` is the job's, as JSON. */
export function insert (connection: Connection, job: Omit<Job, 'data' | 'retry'>, data: string): Receipt {
  const { id, queue, task, priority, delay } = job
  const now = Date.now()
  const state = delay > 0 ? 'scheduled' : 'pending'
  const stored = connection.run(INSERT, id, queue, task, data, priority, state, now + Math.ceil(delay), now)
  return stored === 1 ? { id } : { id, deduplicated: true }
}

export function find (connection: Connection, id: string): JobInfo | null {
  const [found] = connection.all<Found>(FIND, id)
  if (found === undefined) return null
  const { queue, task, due, attempts, progress, result, error, enqueued_at: enqueuedAt, started_at: startedAt, ended_at: endedAt } = found
  return {
    id,
    queue,
    task,
    // Where no worker runs, nobody has moved it yet.
    state: found.state === 'scheduled' && due <= Date.now() ? 'pending' : found.state,
    attempts: Number(attempts),
    enqueuedAt: Number(enqueuedAt),
    ...(progress !== null && { progress: JSON.parse(progress) as unknown }),
    ...(result !== null && { result: JSON.parse(result) as unknown }),
    ...(error !== null && { error: JSON.parse(error) as Failure }),
    ...(startedAt !== null && { startedAt: Number(startedAt) }),
    ...(endedAt !== null && { endedAt: Number(endedAt) })
  }
}

/** To be called in a transaction. */
export function cancel (connection: Connection, id: string): Cancellation {
  const job = find(connection, id)
  if (job === null) return 'not-found'
  const error = JSON.stringify(describeFailure(new FST_ERR_BGT_CANCELLED(job.task)))
  if (connection.run(CANCEL, error, Date.now(), id) > 0) return 'cancelled'
  return connection.run(ASK_TO_CANCEL, id) > 0 ? 'running' : 'finished'
}
