import type { JobError, VerdictError } from '../types/index.ts'

/** Characters of a name or a code. */
const MAX_NAME = 128

/** Characters of a message or a stack: they are for people. */
const MAX_MESSAGE = 8_192

interface Readable {
  readonly name: string
  readonly message: string
  readonly code?: unknown
  readonly stack?: string | undefined
}

/** Takes the part of an error that is kept, and may be shown: no stack, no cause. Reading any of it may throw. */
export function describeFailure (error: Readable, maxMessage: number = MAX_MESSAGE): JobError {
  try {
    const { name, message, code } = error
    return {
      name: cut(name, MAX_NAME),
      message: cut(message, Math.min(maxMessage, MAX_MESSAGE)),
      ...(typeof code === 'string' && { code: cut(code, MAX_NAME) })
    }
  } catch {
    return { name: 'Error', message: 'an error that throws when it is read' }
  }
}

/** As `describeFailure`, with the frames of the stack, for a queue. */
export function toVerdictError (error: Readable, maxMessage: number): VerdictError {
  const described = describeFailure(error, maxMessage)
  const frames = framesOf(error)
  return frames === undefined ? described : { ...described, stack: frames }
}

/** The lines of the stack without the message, which may be long, and is cut elsewhere. */
export function framesOf (error: { readonly stack?: string | undefined }): string | undefined {
  try {
    const stack = String(error.stack)
    const start = stack.indexOf('\n    at ')
    return start === -1 ? undefined : cut(stack.slice(start + 1), MAX_MESSAGE)
  } catch {
    return undefined
  }
}

/** Engines refuse halves of surrogate pairs, which a cut may make as well. */
function cut (text: unknown, max: number): string {
  const whole = String(text)
  return (whole.length <= max ? whole : `${whole.slice(0, Math.max(max - 1, 0))}…`).toWellFormed()
}
