import type { Cancellation, JobData, JobError, JobInfo, JobState } from '../../../types/index.ts'
import { FST_ERR_BGT_CANCELLED, FST_ERR_BGT_STALLED } from '../../errors.ts'
import { describeFailure } from '../../failure.ts'
import { toJobInfo } from '../kit/job-info.ts'
import { asUnavailable } from './connection.ts'
import type { Engine } from './engine.ts'
import { readFailure, stalledReason } from './failure.ts'
import { readResult, toCancelledResult } from './result.ts'
import type { Inspected } from './scripts.ts'
import { readJson } from '../kit/stored-json.ts'

/** The fields of a job as BullMQ stores them, all strings. One that others have stored may lack any. */
interface Fields {
  readonly name?: string
  readonly data?: string
  readonly timestamp?: string
  readonly atm?: string
  readonly stc?: string
  readonly progress?: string
  readonly returnvalue?: string
  readonly failedReason?: string
  readonly stacktrace?: string
  readonly processedOn?: string
  readonly finishedOn?: string
}

/** @throws FST_ERR_BGT_QUEUE_UNAVAILABLE */
export async function find ({ connection, names, inspect }: Engine, id: string): Promise<JobInfo | null> {
  try {
    await connection.ready()
    const found = await Promise.all(Array.from(names, async name => infoOf(id, name, await inspect(name, id))))
    return found.find(info => info !== null) ?? null
  } catch (error) {
    throw asUnavailable(error)
  }
}

/** @throws FST_ERR_BGT_QUEUE_UNAVAILABLE */
export async function cancel (engine: Engine, id: string): Promise<Cancellation> {
  try {
    const info = await find(engine, id)
    if (info === null) return 'not-found'
    const result = toCancelledResult(new FST_ERR_BGT_CANCELLED(info.task))
    return await engine.cancel(info.queue!, id, JSON.stringify(result))
  } catch (error) {
    throw asUnavailable(error)
  }
}

function infoOf (id: string, queue: string, [state, list]: Inspected): JobInfo | null {
  if (list.length === 0) return null
  const fields = toFields(list)
  const { owner, enqueuedAt } = (readJson(fields.data) ?? {}) as Partial<JobData>
  const attemptsMade = Number(fields.atm ?? 0)
  const ending = readResult(fields.returnvalue)
  const cancelled = 'cancelled' in ending ? ending.cancelled : undefined
  return toJobInfo({
    id,
    task: fields.name ?? '',
    queue,
    state: cancelled === undefined ? stateOf(state, attemptsMade) : 'cancelled',
    attempts: state === 'running' ? attemptsMade + 1 : attemptsMade,
    owner: typeof owner === 'string' ? owner : undefined,
    enqueuedAt: typeof enqueuedAt === 'number' ? enqueuedAt : Number(fields.timestamp ?? 0),
    progress: readJson(fields.progress),
    result: 'result' in ending ? ending.result : undefined,
    error: cancelled ?? (state === 'completed' ? undefined : failureOf(fields)),
    startedAt: fromField(fields.processedOn, Number),
    endedAt: fromField(fields.finishedOn, Number)
  })
}

function fromField<Value> (field: string | undefined, read: (field: string) => Value): Value | undefined {
  return field === undefined ? undefined : read(field)
}

function toFields (list: string[]): Fields {
  const fields: Record<string, string> = {}
  for (let i = 0; i < list.length; i += 2) fields[list[i]!] = list[i + 1]!
  return fields
}

function stateOf (state: Inspected[0], attemptsMade: number): JobState {
  if (state === 'delayed') return attemptsMade === 0 ? 'scheduled' : 'retrying'
  if (state === 'waiting') return attemptsMade === 0 ? 'pending' : 'retrying'
  return state
}

function failureOf ({ name = '', stc, failedReason, stacktrace }: Fields): JobError | undefined {
  if (failedReason === undefined) return undefined
  if (failedReason === stalledReason) return describeFailure(new FST_ERR_BGT_STALLED(name, Number(stc)))
  const stacks = readJson(stacktrace)
  return readFailure(failedReason, Array.isArray(stacks) ? String(stacks.at(-1) ?? '') : '')
}
