import type { JobVerdict } from '../../../types/index.ts'
import { describeFailure } from '../../failure.ts'

/** The part of a verdict that is kept. */
export interface Entry {
  readonly state: 'completed' | 'failed' | 'cancelled' | 'retrying' | 'scheduled'
  /** ms from now until it is due again. */
  readonly delay?: number
  readonly uncounted?: boolean
  readonly result?: string
  readonly error?: string
}

export function toEntry (verdict: JobVerdict): Entry {
  if (verdict.state === 'completed') {
    return { state: 'completed', ...(verdict.result !== undefined && { result: JSON.stringify(verdict.result) }) }
  }
  const error = JSON.stringify(describeFailure(verdict.error))
  switch (verdict.state) {
    case 'retrying':
      return { state: 'retrying', delay: Math.ceil(verdict.delay), error }
    case 'postponed':
      return { state: 'scheduled', delay: Math.ceil(verdict.delay), uncounted: true, error }
    default:
      return { state: verdict.state, error }
  }
}
