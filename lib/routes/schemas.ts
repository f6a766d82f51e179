import {
  type Static, type TInteger, type TObject, type TOptional, type TString, type TUnknown, type TUnsafe, Type
} from '@sinclair/typebox'
import type { TaskInfo } from '../../types/index.ts'

type State = TaskInfo['state']

/** Whether a task in this state is still to end. */
export const isOpen: Record<State, boolean> = {
  pending: true,
  scheduled: true,
  running: true,
  retrying: true,
  completed: false,
  failed: false,
  skipped: false,
  cancelled: false,
  escalated: false,
  lost: false
}

/** The status of a task that has escalated is that of the job which it has become. */
const states = Object.keys(isOpen).filter(state => state !== 'escalated')

const taskId: TString = Type.String({ format: 'uuid' })
const time: TString = Type.String({ format: 'date-time' })

/** The response schema of the status route. */
export const taskStatus: TObject<{
  taskId: TString
  task: TString
  state: TUnsafe<State>
  attempts: TInteger
  progress: TOptional<TUnknown>
  result: TOptional<TUnknown>
  error: TOptional<TObject<{ name: TString, message: TString, code: TOptional<TString> }>>
  enqueuedAt: TString
  startedAt: TOptional<TString>
  endedAt: TOptional<TString>
}> = Type.Object({
  taskId,
  task: Type.String({ description: 'Name of the task' }),
  state: Type.Unsafe<State>({ type: 'string', enum: states }),
  attempts: Type.Integer({ minimum: 0, description: 'Attempts begun' }),
  progress: Type.Optional(Type.Unknown({ description: 'What the task has said of its progress' })),
  result: Type.Optional(Type.Unknown({ description: 'What the task has returned' })),
  error: Type.Optional(Type.Object({
    name: Type.String(),
    message: Type.String(),
    code: Type.Optional(Type.String())
  }, { description: 'Of the latest attempt that failed' })),
  enqueuedAt: time,
  startedAt: Type.Optional(time),
  endedAt: Type.Optional(time)
}, { description: 'Where the task is. Until it has ended, Retry-After says when to ask again' })

/** The response schema of `reply.accepted`, for 202. */
export const taskAccepted: TObject<{ taskId: TString }> = Type.Object({
  taskId
}, { description: 'The task was taken on; Location is its status' })

export type TaskStatus = Static<typeof taskStatus>

function cancelled (state: 'cancelled' | 'running', description: string): TObject {
  return Type.Object({ taskId, state: Type.Unsafe({ type: 'string', enum: [state] }) }, { description })
}

/** As Fastify writes errors; an error handler of the application may write them otherwise. */
function failure (description: string): TObject {
  return Type.Object({
    statusCode: Type.Integer(),
    code: Type.String(),
    error: Type.String(),
    message: Type.String()
  }, { description })
}

const params = Type.Object({ id: taskId })
const failures = {
  404: failure('No task with this id is known here'),
  503: failure('The queue does not answer, or too many ask at once')
}

export const statusRoute: { summary: string, params: TObject, response: object } = {
  summary: 'Status of a background task',
  params,
  response: {
    200: taskStatus,
    304: Type.Null({ description: 'Nothing has changed since the answer with this ETag' }),
    ...failures
  }
}

export const cancelRoute: typeof statusRoute = {
  summary: 'Cancel a background task',
  params,
  response: {
    200: cancelled('cancelled', 'It had not started, and never will'),
    202: cancelled('running', 'It was told to stop; its status says what came of it'),
    ...failures,
    409: failure('It had already ended')
  }
}
