import type { JobWithMetadata } from 'pg-boss'
import type { Cancellation, JobInfo } from '../../../types/index.ts'
import { FST_ERR_BGT_CANCELLED } from '../../errors.ts'
import { isUuid } from '../../uuid.ts'
import type { Engine } from './engine.ts'
import { failureOutput, toInfo } from './job-row.ts'

export async function statusOf (engine: Engine, id: string): Promise<JobInfo | null> {
  const row = await find(engine, id)
  return row === undefined ? null : toInfo(row, engine.settings.maxStalled)
}

export async function cancel (engine: Engine, id: string): Promise<Cancellation> {
  const row = await find(engine, id)
  if (row === undefined) return 'not-found'
  const { database, cancelChannel } = engine
  const error = new FST_ERR_BGT_CANCELLED(toInfo(row, 0).task)
  const { rows } = await database.query(engine.statementsOf(row.name).cancel, [row.name, id, JSON.stringify(failureOutput(error))])
  if (rows.length > 0) return 'cancelled'
  const now = await find(engine, id)
  if (now?.state !== 'active') return 'finished'
  await database.query('SELECT pg_notify($1, $2)', [cancelChannel, id])
  return 'running'
}

async function find ({ boss, queues, database: { soon } }: Engine, id: string): Promise<JobWithMetadata | undefined> {
  if (!isUuid(id)) return undefined
  const found = await Promise.all(queues.map(queue => boss.findJobs<object>(queue, { id, db: soon })))
  return found.flat()[0]
}
