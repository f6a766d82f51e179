import type { FastifyBaseLogger } from 'fastify'
import type { Outcome, TaskHooks } from '../../types/index.ts'
import type { TaskRun } from './task-run.ts'

type Level = 'debug' | 'warn' | 'error'

function line (level: Level, { name, id, attempt, log }: TaskRun, fields: object, message: string): void {
  log[level]({ task: name, taskId: id, attempt, ...fields }, `background task ${message}`)
}

const levels: Record<Outcome['state'], Level> = {
  completed: 'debug',
  failed: 'error',
  skipped: 'warn',
  cancelled: 'debug',
  escalated: 'warn',
  lost: 'error'
}

function levelOf ({ settings }: TaskRun, outcome: Outcome): Level {
  // Where all went well, a task for errors is not missed.
  const isMoot = outcome.state === 'skipped' && outcome.reason === 'answered' && settings.when === 'error'
  return isMoot ? 'debug' : levels[outcome.state]
}

/** A switched-off level is the logger's one no-op, in pino and in Fastify's null logger alike. */
function debugs (log: FastifyBaseLogger): boolean {
  return log.debug !== log.trace
}

export function isLogged (run: TaskRun, outcome: Outcome): boolean {
  return levelOf(run, outcome) !== 'debug' || debugs(run.log)
}

export function logOutcome (run: TaskRun, outcome: Outcome): void {
  const { error: err, reason } = outcome as { error?: Error, reason?: string }
  line(levelOf(run, outcome), run, { err, reason }, outcome.state)
}

export function logRetry (run: TaskRun, err: Error, delay: number): void {
  line('warn', run, { err, delay }, 'failed, will be tried again')
}

export function logHookError (run: TaskRun, hook: keyof TaskHooks, err: unknown): void {
  line('error', run, { err, hook }, 'hook failed')
}

export function logBlocking (run: TaskRun, blocked: number): void {
  line('warn', run, { blocked: Math.round(blocked) }, 'blocked the event loop')
}

export function logStranded (run: TaskRun, err: Error): void {
  line('error', run, { err }, 'could not be handed over to the queue')
}
