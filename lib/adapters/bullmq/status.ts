import type { JobData, JobInfo, JobState } from '../../../types/index.ts'
import { FST_ERR_BGT_STALLED } from '../../errors.ts'
import { describeFailure, type Failure } from '../../failure.ts'
import { readFailure, stalledReason } from './failure.ts'
import { readResult } from './result.ts'
import type { Inspected } from './scripts.ts'

/** The fields of a job as BullMQ stores them, all strings. */
interface Fields {
  readonly name: string
  readonly data: string
  readonly timestamp: string
  readonly atm?: string
  readonly stc?: string
  readonly progress?: string
  readonly returnvalue?: string
  readonly failedReason?: string
  readonly stacktrace?: string
  readonly processedOn?: string
  readonly finishedOn?: string
}

export function toJobInfo (id: string, queue: string, [state, list]: Inspected): JobInfo | null {
  if (list.length === 0) return null
  const fields = toFields(list)
  const attemptsMade = Number(fields.atm ?? 0)
  const ending = readResult(fields.returnvalue ?? 'null')
  const cancelled = 'cancelled' in ending ? ending.cancelled : undefined
  const error = cancelled ?? (state === 'completed' ? undefined : failureOf(fields))
  return {
    id,
    task: fields.name,
    queue,
    state: cancelled === undefined ? stateOf(state, attemptsMade) : 'cancelled',
    attempts: state === 'running' ? attemptsMade + 1 : attemptsMade,
    enqueuedAt: (JSON.parse(fields.data) as JobData).enqueuedAt ?? Number(fields.timestamp),
    ...(fields.progress !== undefined && { progress: JSON.parse(fields.progress) as unknown }),
    ...('result' in ending && { result: ending.result }),
    ...(error !== undefined && { error }),
    ...(fields.processedOn !== undefined && { startedAt: Number(fields.processedOn) }),
    ...(fields.finishedOn !== undefined && { endedAt: Number(fields.finishedOn) })
  }
}

function toFields (list: string[]): Fields {
  const fields: Record<string, string> = {}
  for (let i = 0; i < list.length; i += 2) fields[list[i]!] = list[i + 1]!
  return fields as unknown as Fields
}

function stateOf (state: Inspected[0], attemptsMade: number): JobState {
  if (state === 'delayed') return attemptsMade === 0 ? 'scheduled' : 'retrying'
  if (state === 'waiting') return attemptsMade === 0 ? 'pending' : 'retrying'
  return state
}

function failureOf ({ name, stc, failedReason, stacktrace }: Fields): Failure | undefined {
  if (failedReason === undefined) return undefined
  if (failedReason === stalledReason) return describeFailure(new FST_ERR_BGT_STALLED(name, Number(stc)))
  const stacks = JSON.parse(stacktrace ?? '[]') as string[]
  return readFailure(failedReason, stacks.at(-1) ?? '')
}
