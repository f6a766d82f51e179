import { AsyncResource } from 'node:async_hooks'
import { channel, tracingChannel, type Channel, type TracingChannel } from 'node:diagnostics_channel'
import type { Outcome, TaskContext } from '../../types/index.ts'
import type { TaskRun } from './task-run.ts'

const attempts: TracingChannel = tracingChannel('fastify-background-tasks.task')
const outcomes: Channel = channel('fastify-background-tasks.outcome')

/** Calls the user's function in the async context of its `add`, as a traced operation where somebody listens. */
export function callTraced (run: TaskRun, context: TaskContext | undefined): unknown {
  const apart = run.settings.retry !== undefined
  if (!attempts.hasSubscribers) return run.runInAsyncScope(apart ? callApart : run.call, run, context)
  const { id, name, attempt, requestId } = run
  // A synchronous task has to return a promise here, else Node 26 does not trace its end.
  const call = async (): Promise<unknown> => await (apart ? callApart.call(run, context) : run.call(context))
  return run.runInAsyncScope(() => attempts.tracePromise(call, { id, name, attempt, requestId }))
}

/** Before Node 24 the resource keeps what an attempt sets by `enterWith`, and the next attempt would see it. */
function callApart (this: TaskRun, context: TaskContext | undefined): unknown {
  const resource = new AsyncResource('BackgroundTaskAttempt', { requireManualDestroy: true })
  return resource.runInAsyncScope(this.call, this, context)
}

export function publishOutcome (run: TaskRun, outcome: Outcome): void {
  if (!outcomes.hasSubscribers) return
  const { id, name, requestId } = run
  run.runInAsyncScope(() => outcomes.publish({ id, name, requestId, outcome }))
}
