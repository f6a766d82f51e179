import type { Failure } from '../../failure.ts'
import { describeFailure } from '../../failure.ts'

/** BullMQ's reason for a job that has stalled too often. */
export const stalledReason = 'job stalled more than allowable limit'

/** BullMQ keeps message and stack of an error. Name and code go into the stack's first line, as Node shows them. */
export function toBullmqError (error: Error): Error {
  const { name, message, code } = describeFailure(error)
  const { stack = '' } = error
  const frames = stack.includes('\n    at ') ? stack.slice(stack.indexOf('\n    at ')) : ''
  const kept = new Error(message, { cause: error })
  kept.stack = `${name}${code === undefined ? '' : ` [${code}]`}: ${message}${frames}`
  return kept
}

export function readFailure (message: string, stack: string): Failure {
  const head = stack.slice(0, Math.max(stack.indexOf(`: ${message}`), 0))
  const [, name, code] = /^(.+?)(?: \[(\S+)\])?$/s.exec(head) ?? []
  return { name: name ?? 'Error', message, ...(code !== undefined && { code }) }
}
