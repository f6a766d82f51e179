import type { Outcome } from '../../types/index.ts'

export interface Retry {
  readonly state: 'retrying'
  readonly error: Error
  /** ms */
  readonly delay: number
}

/** The reason to stop an attempt, and its verdict if it then throws, or goes on. */
export type Stop = Extract<Outcome, { state: 'cancelled' | 'lost' }>

/** The result of an attempt: the end of its task, or another attempt. */
export type Verdict = Extract<Outcome, { state: 'completed' | 'failed' }> | Stop | Retry
