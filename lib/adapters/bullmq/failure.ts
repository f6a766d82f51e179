import type { JobError, VerdictError } from '../../../types/index.ts'

/** BullMQ's reason for a job that has stalled too often. */
export const stalledReason = 'job stalled more than allowable limit'

/** BullMQ keeps message and stack of an error. Name and code go into the stack's first line, as Node shows them. */
export function toBullmqError ({ name, message, code, stack }: VerdictError): Error {
  const frames = stack === undefined ? '' : `\n${stack}`
  const kept = new Error(message)
  kept.stack = `${name}${code === undefined ? '' : ` [${code}]`}: ${message}${frames}`
  return kept
}

export function readFailure (message: string, stack: string): JobError {
  const head = stack.slice(0, Math.max(stack.indexOf(`: ${message}`), 0))
  const [, name, code] = /^(.+?)(?: \[(\S+)\])?$/s.exec(head) ?? []
  return { name: name ?? 'Error', message, ...(code !== undefined && { code }) }
}
