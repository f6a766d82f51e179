import { brief } from '../errors.ts'

/** What stderr is told of an error: where it comes from, unless it is one of ours, which says what to do. */
export function complain (error: unknown): string {
  const { code, message, stack } = (error ?? {}) as { code?: string, message?: string, stack?: string }
  const isOurs = code?.startsWith('FST_ERR_BGT_') === true
  return `fastify-background-tasks: ${isOurs ? `${message!} (${code})` : stack ?? brief(error)}\n`
}
