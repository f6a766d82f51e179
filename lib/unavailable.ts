import { brief, FST_ERR_BGT_QUEUE_UNAVAILABLE } from './errors.ts'

export type Unavailable = Error & { readonly ambiguous: boolean }

/** `ambiguous`: the engine may have done all the same what it was asked for. */
export type MakeUnavailable = (problem: string, ambiguous: boolean, cause?: unknown) => Unavailable

export function unavailableOf (adapter: string): MakeUnavailable {
  return (problem, ambiguous, cause) =>
    Object.assign(new FST_ERR_BGT_QUEUE_UNAVAILABLE(adapter, problem, { cause }), { ambiguous })
}

/** By its code: pg-boss tells of errors in copies of them. */
export function isUnavailable (error: unknown): error is Unavailable {
  return (error as { code?: unknown }).code === 'FST_ERR_BGT_QUEUE_UNAVAILABLE'
}

/** The error of a call of any adapter, as ours reject. A coded one, such as a wrong option, stays as it is. */
export function asUnavailable (adapter: string, cause: unknown, details: object = {}): Error {
  const thrown = { code: undefined, message: brief(cause) }
  const { code, message } = cause instanceof Error ? cause as NodeJS.ErrnoException : thrown
  const error = new FST_ERR_BGT_QUEUE_UNAVAILABLE(adapter, message, { cause })
  if (code === error.code) error.message = message
  else if (String(code).startsWith('FST_ERR_BGT_')) return cause as Error
  return Object.assign(error, details)
}
