import { channel, tracingChannel, type Channel, type TracingChannel } from 'node:diagnostics_channel'
import type { Outcome, TaskContext } from '../../types/index.ts'
import type { Handle } from './handle.ts'

const attempts: TracingChannel = tracingChannel('fastify-background-tasks.task')
const outcomes: Channel = channel('fastify-background-tasks.outcome')

/** Calls the user's function in the async context of its `add`, as a traced operation where somebody listens. */
export function callTraced (handle: Handle, context: TaskContext | undefined): unknown {
  if (!attempts.hasSubscribers) return handle.runInAsyncScope(handle.call, handle, context)
  const { id, name, attempt, lane: { requestId } } = handle
  // What a synchronous task returns has to be a promise, else Node 26 does not trace its end.
  const call = async (): Promise<unknown> => await handle.call(context)
  return handle.runInAsyncScope(() => attempts.tracePromise(call, { id, name, attempt, requestId }))
}

export function publishOutcome (handle: Handle, outcome: Outcome): void {
  if (!outcomes.hasSubscribers) return
  const { id, name, lane: { requestId } } = handle
  handle.runInAsyncScope(() => outcomes.publish({ id, name, requestId, outcome }))
}
