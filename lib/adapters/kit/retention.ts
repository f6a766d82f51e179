import { type TObject, Type } from '@sinclair/typebox'
import { ms } from '../../check.ts'

/** How long jobs that have ended are kept; and so, how long their ids deduplicate. */
export interface RetentionOptions {
  /** ms, for completed and cancelled jobs. Default 86,400,000: a day. */
  completed?: number
  /** ms, for failed jobs. Default 2,592,000,000: 30 days. */
  failed?: number
}

const DAY = 86_400_000

export const retentionDefaults: Required<RetentionOptions> = { completed: DAY, failed: 30 * DAY }

export const retentionSchema: TObject = Type.Object({
  completed: ms(Number.MAX_SAFE_INTEGER),
  failed: ms(Number.MAX_SAFE_INTEGER)
}, { additionalProperties: false })
