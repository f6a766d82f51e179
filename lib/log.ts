import type { FastifyBaseLogger } from 'fastify'
import type { Outcome, TaskHooks } from '../types/index.ts'
import type { Handle } from './handle.ts'

type Fields = Record<string, unknown>

function line (log: FastifyBaseLogger, level: 'debug' | 'warn' | 'error', handle: Handle, fields: Fields, message: string): void {
  log[level]({ task: handle.name, taskId: handle.id, attempt: handle.attempt, ...fields }, message)
}

/** A switched-off level is the logger's one no-op, in pino and in Fastify's null logger alike. */
function debugs (log: FastifyBaseLogger): boolean {
  return log.debug !== log.trace
}

export function isLogged (handle: Handle, outcome: Outcome): boolean {
  return outcome.state !== 'completed' || debugs(handle.lane.log)
}

export function logOutcome (handle: Handle, outcome: Outcome): void {
  const { log } = handle.lane
  switch (outcome.state) {
    case 'completed': return line(log, 'debug', handle, {}, 'background task completed')
    case 'cancelled': return line(log, 'debug', handle, {}, 'background task cancelled')
    case 'failed': return line(log, 'error', handle, { err: outcome.error }, 'background task failed')
    case 'lost': return line(log, 'error', handle, { err: outcome.error, reason: outcome.reason }, 'background task lost')
    case 'skipped':
      // A task for the other ending of the request is not needed; one for this ending is missed.
      return line(log, handle.settings.when === 'error' && outcome.reason === 'answered' ? 'debug' : 'warn', handle, { reason: outcome.reason }, 'background task skipped')
  }
}

export function logRetry (handle: Handle, err: Error, delay: number): void {
  line(handle.lane.log, 'warn', handle, { err, delay }, 'background task failed, will be tried again')
}

export function logHookError (handle: Handle, hook: keyof TaskHooks, err: unknown): void {
  line(handle.lane.log, 'error', handle, { err, hook }, 'background task hook failed')
}

export function logBlocking (handle: Handle, blocked: number): void {
  line(handle.lane.log, 'warn', handle, { blocked: Math.round(blocked) }, 'background task blocked the event loop')
}
