import { brief } from '../errors.ts'

/** Describes an error for stderr: one of ours by its message, which says what to do, and any other by its stack. */
export function complain (error: unknown): string {
  const { code, message, stack } = (error ?? {}) as { code?: string, message?: string, stack?: string }
  const isOurs = code?.startsWith('FST_ERR_BGT_') === true
  return `fastify-background-tasks: ${isOurs ? `${message!} (${code})` : stack ?? brief(error, 0)}\n`
}
