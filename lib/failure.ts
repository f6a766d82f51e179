import type { JobInfo } from '../types/index.ts'

export type Failure = NonNullable<JobInfo['error']>

/** What is kept of an error, and may be shown: no stack, no cause. Errors are other people's: nothing in them is sure. */
export function describeFailure (error: Error & { code?: unknown }): Failure {
  try {
    const { name, message, code } = error
    return { name: String(name), message: String(message), ...(typeof code === 'string' && { code }) }
  } catch {
    return { name: 'Error', message: 'an error that throws when it is read' }
  }
}
