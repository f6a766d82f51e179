import { channel, tracingChannel, type Channel, type TracingChannel } from 'node:diagnostics_channel'
import type { Outcome, TaskContext } from '../../types/index.ts'
import type { TaskRun } from './task-run.ts'

const attempts: TracingChannel = tracingChannel('fastify-background-tasks.task')
const outcomes: Channel = channel('fastify-background-tasks.outcome')

/** Calls the user's function in the async context of its `add`, as a traced operation where somebody listens. */
export function callTraced (run: TaskRun, context: TaskContext | undefined): unknown {
  if (!attempts.hasSubscribers) return run.runInAsyncScope(run.call, run, context)
  const { id, name, attempt, requestId } = run
  // What a synchronous task returns has to be a promise, else Node 26 does not trace its end.
  const call = async (): Promise<unknown> => await run.call(context)
  return run.runInAsyncScope(() => attempts.tracePromise(call, { id, name, attempt, requestId }))
}

export function publishOutcome (run: TaskRun, outcome: Outcome): void {
  if (!outcomes.hasSubscribers) return
  const { id, name, requestId } = run
  run.runInAsyncScope(() => outcomes.publish({ id, name, requestId, outcome }))
}
