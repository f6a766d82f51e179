import { randomUUID } from 'node:crypto'
import type { EnqueueOptions, Job, JobData, RetryOptions, Task, TracePropagation } from '../../types/index.ts'
import type { TaskSettings } from '../options.ts'
import { keyedId } from '../uuid.ts'

/** Where a job comes from: the request, if there is one. */
export interface Origin {
  readonly requestId?: string | undefined
  readonly headers?: Readonly<Record<string, string | string[] | undefined>> | undefined
}

export const ONCE: Required<RetryOptions> = { attempts: 1, delay: 0, backoff: 'fixed', maxDelay: 0, jitter: 0 }

/** The W3C trace headers that came with the request. */
export function injectHeaders ({ headers = {} }: Origin): Record<string, string> {
  const entries = ['traceparent', 'tracestate'].map(name => [name, headers[name]] as const)
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string'))
}

export function jobId (task: Task, key: string | undefined): string {
  return key === undefined ? randomUUID() : keyedId(`${task.name}\n${key}`)
}

export function makeData (task: Task, payload: unknown, origin: Origin, propagation: TracePropagation | undefined, delay = 0): JobData {
  const trace = (propagation?.inject ?? injectHeaders)(origin)
  return {
    payload,
    version: task.version,
    enqueuedAt: Date.now(),
    ...(delay > 0 && { delay }),
    ...(origin.requestId !== undefined && { requestId: origin.requestId }),
    ...(Object.keys(trace).length > 0 && { trace })
  }
}

export function makeJob (id: string, { task, settings }: { task: Task, settings: TaskSettings }, data: JobData, { delay = 0, priority = task.priority }: EnqueueOptions = {}): Job {
  return { id, queue: task.queue, task: task.name, data, delay, priority, retry: settings.retry ?? ONCE }
}
