import { isOurs } from '../engine-error.ts'
import { brief } from '../errors.ts'

/** Describes an error for stderr: one of ours by its message, which says what to do, and any other by its stack. */
export function complain (error: unknown): string {
  const { code, message, stack } = (error ?? {}) as { code?: string, message?: string, stack?: string }
  return `fastify-background-tasks: ${isOurs(error) ? `${message!} (${code})` : stack ?? brief(error, 0)}\n`
}
