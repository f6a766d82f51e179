import type { JobError } from '../../../types/index.ts'
import { describeFailure } from '../../failure.ts'
import { readJson } from '../kit/stored-json.ts'

const key = 'fastify-background-tasks'

/**
 * Stands in a job's result where BullMQ cannot tell cancelled from completed, or null from nothing; and around a
 * result that would be taken for one. All others are stored as they are, for the flows and dashboards that read them.
 */
type Sign = { [key]: { readonly cancelled: JobError } | { readonly result: unknown } }

export function toBullmqResult (result: unknown): unknown {
  return result === null || hasSign(result) ? { [key]: { result } } satisfies Sign : result
}

export function toCancelledResult (error: JobError): Sign {
  return { [key]: { cancelled: describeFailure(error) } }
}

export type Ending = { readonly cancelled: JobError } | { readonly result?: unknown }

export function readResult (json: string | undefined): Ending {
  const result = readJson(json)
  if (result === null) return {}
  return hasSign(result) ? result[key] : { result }
}

/** Whatever others store there, it has to be an object. */
function hasSign (result: unknown): result is Sign {
  if (typeof result !== 'object' || result === null || !Object.hasOwn(result, key)) return false
  const sign: unknown = (result as { [key]: unknown })[key]
  return typeof sign === 'object' && sign !== null
}
