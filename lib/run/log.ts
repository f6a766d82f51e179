import type { FastifyBaseLogger } from 'fastify'
import type { Outcome, TaskHooks } from '../../types/index.ts'
import type { Handle } from './handle.ts'

type Level = 'debug' | 'warn' | 'error'

function line (level: Level, { name, id, attempt, lane: { log } }: Handle, fields: object, message: string): void {
  log[level]({ task: name, taskId: id, attempt, ...fields }, message)
}

const levels: Record<Outcome['state'], Level> = {
  completed: 'debug',
  failed: 'error',
  skipped: 'warn',
  cancelled: 'debug',
  escalated: 'warn',
  lost: 'error'
}

function levelOf ({ settings }: Handle, outcome: Outcome): Level {
  // Where all went well, a task for errors is not missed.
  const isMoot = outcome.state === 'skipped' && outcome.reason === 'answered' && settings.when === 'error'
  return isMoot ? 'debug' : levels[outcome.state]
}

/** A switched-off level is the logger's one no-op, in pino and in Fastify's null logger alike. */
function debugs (log: FastifyBaseLogger): boolean {
  return log.debug !== log.trace
}

export function isLogged (handle: Handle, outcome: Outcome): boolean {
  return levelOf(handle, outcome) !== 'debug' || debugs(handle.lane.log)
}

export function logOutcome (handle: Handle, outcome: Outcome): void {
  const { error: err, reason } = outcome as { error?: Error, reason?: string }
  line(levelOf(handle, outcome), handle, { err, reason }, `background task ${outcome.state}`)
}

export function logRetry (handle: Handle, err: Error, delay: number): void {
  line('warn', handle, { err, delay }, 'background task failed, will be tried again')
}

export function logHookError (handle: Handle, hook: keyof TaskHooks, err: unknown): void {
  line('error', handle, { err, hook }, 'background task hook failed')
}

export function logBlocking (handle: Handle, blocked: number): void {
  line('warn', handle, { blocked: Math.round(blocked) }, 'background task blocked the event loop')
}

export function logStranded (handle: Handle, err: Error): void {
  line('error', handle, { err }, 'background task could not be handed over to the queue')
}
