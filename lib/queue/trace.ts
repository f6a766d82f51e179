import type { FastifyBaseLogger } from 'fastify'
import type { TracePropagation } from '../../types/index.ts'
import { toError } from '../errors.ts'
import { writeLine } from '../log.ts'
import { follow, isThenable } from '../thenable.ts'
import type { TakenJob } from './taken-job.ts'

export type Headers = Readonly<Record<string, string | string[] | undefined>>

const NOT_CONTINUED = 'background task trace could not be continued'

/** Characters of all names and values that the application's `inject` gives. */
const MAX_TRACE = 8_192

const traceparentForm = /^(?!ff)[\da-f]{2}-(?!0{32})[\da-f]{32}-(?!0{16})[\da-f]{16}-[\da-f]{2}$/
const tracestateForm = /^[\x20-\x7e\t]{1,512}$/
const memberForm = /^\s*(?:[a-z\d][\w\-*/@]*=[\x20-\x2b\x2d-\x3c\x3e-\x7e]+)?\s*$/

/** The W3C trace headers that came with a request, if they are well-formed: a client may send anything. */
export function injectHeaders ({ headers = {} }: { readonly headers?: Headers | undefined }): Record<string, string> {
  const { traceparent, tracestate } = headers
  if (typeof traceparent !== 'string' || !traceparentForm.test(traceparent)) return {}
  return isTracestate(tracestate) ? { traceparent, tracestate } : { traceparent }
}

function isTracestate (value: unknown): value is string {
  if (typeof value !== 'string' || !tracestateForm.test(value)) return false
  return value.split(',').every(each => memberForm.test(each))
}

/** What of it there is room for. A job has a size, of which headers are no part. */
export function boundTrace (trace: Record<string, string>): Record<string, string> {
  let left = MAX_TRACE
  return Object.fromEntries(Object.entries(trace).filter(([name, value]: [string, unknown]) => {
    if (typeof value !== 'string' || name.length + value.length > left) return false
    left -= name.length + value.length
    return true
  }))
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
