import type { ActiveJob, JobVerdict } from '../../../../types/index.ts'

type Verdict<State extends JobVerdict['state']> = Extract<JobVerdict, { state: State }>

export class Mishap extends Error {
  override readonly name = 'Mishap'
  readonly code: string = 'CONFORMANCE_MISHAP'
}

export function completed (result?: unknown): Verdict<'completed'> {
  return { state: 'completed', result }
}

/** For a worker that completes every job. */
export const complete = (): Verdict<'completed'> => completed()

export function failed (message = 'failed for good'): Verdict<'failed'> {
  return { state: 'failed', error: new Mishap(message) }
}

/** @param delay ms */
export function retrying (delay: number, message = 'failed for now'): Verdict<'retrying'> {
  return { state: 'retrying', error: new Mishap(message), delay }
}

/** @param delay ms */
export function postponed (delay: number): Verdict<'postponed'> {
  return { state: 'postponed', error: new Mishap('not here'), delay }
}

export function cancelled (): Verdict<'cancelled'> {
  return { state: 'cancelled', error: new Mishap('cancelled') }
}

/** For a worker that completes every job, but for those that it is told not to run. */
export const obey = ({ signal }: ActiveJob): JobVerdict => signal.aborted ? cancelled() : completed()
