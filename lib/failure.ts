import type { JobInfo } from '../types/index.ts'

export type Failure = NonNullable<JobInfo['error']>

/** Takes the part of an error that is kept, and may be shown: no stack, no cause. Reading any of it may throw. */
export function describeFailure (error: Error & { code?: unknown }): Failure {
  try {
    const { name, message, code } = error
    return { name: String(name), message: String(message), ...(typeof code === 'string' && { code }) }
  } catch {
    return { name: 'Error', message: 'an error that throws when it is read' }
  }
}
