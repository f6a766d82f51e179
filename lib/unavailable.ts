import { cleanError, isOurs, wordFor } from './engine-error.ts'
import { FST_ERR_BGT_QUEUE_UNAVAILABLE } from './errors.ts'
import { NoAnswer } from './time.ts'

export type Unavailable = Error & { readonly ambiguous: boolean }

/** In words of ours; or what an engine has thrown, of which only a word is told, as clients may be told the message. */
type Problem = string | { readonly cause: unknown }

/** `ambiguous`: the engine may have done the work all the same. */
export type MakeUnavailable = (problem: Problem, ambiguous: boolean) => Unavailable

export function unavailableOf (adapter: string): MakeUnavailable {
  return (problem, ambiguous) => Object.assign(make(adapter, problem), { ambiguous })
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
  const error = make(adapter, { cause })
  if (isUnavailable(error.cause)) error.message = error.cause.message
  else if (isOurs(error.cause)) return error.cause
  return Object.assign(error, details)
}

function make (adapter: string, problem: Problem): Error {
  if (typeof problem === 'string') return new FST_ERR_BGT_QUEUE_UNAVAILABLE(adapter, problem)
  const { cause } = problem
  const clean = cleanError(cause)
  const told = cause instanceof NoAnswer ? cause.message : wordFor(cause instanceof Error ? cause : clean)
  return new FST_ERR_BGT_QUEUE_UNAVAILABLE(adapter, told, { cause: clean })
}
