import type { FastifyBaseLogger } from 'fastify'
import type { TracePropagation } from '../../types/index.ts'
import { toError } from '../errors.ts'
import { writeLine } from '../log.ts'
import { follow, isThenable } from '../thenable.ts'
import type { TakenJob } from './taken-job.ts'

export type Headers = Readonly<Record<string, string | string[] | undefined>>

const NOT_CONTINUED = 'background task trace could not be continued'

/** The W3C trace headers that came with a request. */
export function injectHeaders ({ headers = {} }: { readonly headers?: Headers | undefined }): Record<string, string> {
  const entries = ['traceparent', 'tracestate'].map(name => [name, headers[name]] as const)
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string'))
}

/**
 * Runs a job in the context of the trace that came with it. The job runs exactly once, whatever the
 * application's `extract` does with `run`.
 */
export function continueTrace<T> (
  job: TakenJob, propagation: TracePropagation | undefined, log: FastifyBaseLogger, run: () => T
): T {
  let result: { readonly value: T } | undefined
  const runOnce = (): T => (result ??= { value: run() }).value
  extract(job, propagation, log, runOnce)
  return runOnce()
}

function extract (
  job: TakenJob, propagation: TracePropagation | undefined, log: FastifyBaseLogger, run: () => unknown
): void {
  const { id, task, data: { trace } } = job
  if (trace === undefined || propagation?.extract === undefined) return
  const failed = (thrown: unknown): void =>
    writeLine(log, 'warn', { err: toError(task, thrown), task, taskId: id }, NOT_CONTINUED)
  try {
    const result: unknown = propagation.extract(trace, run)
    if (isThenable(result)) follow(result).catch(failed)
  } catch (thrown) {
    failed(thrown)
  }
}
