import type { Outcome } from '../../types/index.ts'

export interface Retry {
  readonly state: 'retrying'
  readonly error: Error
  /** ms */
  readonly delay: number
}

/** Why an attempt was asked to stop: what follows if it then throws, or goes on. */
export type Stop = Extract<Outcome, { state: 'cancelled' | 'lost' }>

/** What an attempt comes to: the end of its task, or another attempt. */
export type Verdict = Extract<Outcome, { state: 'completed' | 'failed' }> | Stop | Retry
