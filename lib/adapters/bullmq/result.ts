import type { JobError } from '../../../types/index.ts'
import { describeFailure } from '../../failure.ts'

const key = 'fastify-background-tasks'

/** Stands in a job's result where BullMQ cannot tell cancelled from completed, or null from nothing. */
type Sign = { [key]: { readonly cancelled: JobError } | { readonly result: null } }

export function toBullmqResult (result: unknown): unknown {
  return result === null ? { [key]: { result } } satisfies Sign : result
}

export function toCancelledResult (error: JobError): Sign {
  return { [key]: { cancelled: describeFailure(error) } }
}

export type Ending = { readonly cancelled: JobError } | { readonly result?: unknown }

export function readResult (json: string): Ending {
  const result: unknown = JSON.parse(json)
  if (result === null) return {}
  return (result as Partial<Sign>)[key] ?? { result }
}
