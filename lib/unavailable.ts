import { brief, FST_ERR_BGT_QUEUE_UNAVAILABLE } from './errors.ts'

export type Unavailable = Error & { readonly ambiguous: boolean }

/** `ambiguous`: the engine may have done the work all the same. */
export type MakeUnavailable = (problem: string, ambiguous: boolean, cause?: unknown) => Unavailable

export function unavailableOf (adapter: string): MakeUnavailable {
  return (problem, ambiguous, cause) =>
    Object.assign(new FST_ERR_BGT_QUEUE_UNAVAILABLE(adapter, problem, { cause }), { ambiguous })
}

/** Goes by the code, as pg-boss hands on copies of errors. */
export function isUnavailable (error: unknown): error is Unavailable {
  return (error as { code?: unknown }).code === 'FST_ERR_BGT_QUEUE_UNAVAILABLE'
}

/**
 * Turns the rejection of any adapter into an error such as ours reject with. An error that has a code of ours
 * already, such as that for a wrong option, stays as it is.
 */
export function asUnavailable (adapter: string, cause: unknown, details: object = {}): Error {
  const { code, message } = cause instanceof Error
    ? cause as NodeJS.ErrnoException
    : { code: undefined, message: brief(cause) }
  const error = new FST_ERR_BGT_QUEUE_UNAVAILABLE(adapter, message, { cause })
  if (code === error.code) error.message = message
  else if (String(code).startsWith('FST_ERR_BGT_')) return cause as Error
  return Object.assign(error, details)
}
