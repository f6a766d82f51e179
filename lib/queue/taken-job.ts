import { Type } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import type { ActiveJob, JobData } from '../../types/index.ts'
import { FST_ERR_BGT_INVALID_JOB } from '../errors.ts'
import { taskName } from '../task/settings.ts'

/** A job in hand, of which it is known that it was stored by this package, in this release or another. */
export interface TakenJob extends ActiveJob {
  readonly data: JobData
}

const name = TypeCompiler.Compile(taskName)
const headers = Type.Record(Type.String(), Type.String())
const data = TypeCompiler.Compile(Type.Object({
  version: Type.Number(),
  enqueuedAt: Type.Number(),
  delay: Type.Optional(Type.Number()),
  requestId: Type.Optional(Type.String()),
  trace: Type.Optional(headers),
  owner: Type.Optional(Type.String())
}))

export function isTaken (job: ActiveJob): job is TakenJob {
  return name.Check(job.task) && data.Check(job.data)
}

/** Says what is wrong with a job that is not a taken one. */
export function problemOf ({ id, queue, task, data: given }: ActiveJob): Error {
  if (task === '') return new FST_ERR_BGT_INVALID_JOB(id, queue, 'it has no name of a task')
  if (!name.Check(task)) {
    return new FST_ERR_BGT_INVALID_JOB(id, queue, 'the name of its task is not as defineTask takes it')
  }
  if (given === undefined) return new FST_ERR_BGT_INVALID_JOB(id, queue, 'its data cannot be read')
  const { path, message } = data.Errors(given).First()!
  return new FST_ERR_BGT_INVALID_JOB(id, queue, `data${path}: ${message}`)
}
