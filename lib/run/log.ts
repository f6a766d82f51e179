import type { FastifyBaseLogger } from 'fastify'
import type { Outcome, TaskHooks } from '../../types/index.ts'
import { writeLine } from '../log.ts'
import type { TaskRun } from './task-run.ts'

type Level = 'debug' | 'warn' | 'error'

/** Writes a line in the task's async context, and never throws. */
function line (level: Level, run: TaskRun, fields: object, message: string): void {
  const { name, id, attempt, log } = run
  const all = { task: name, taskId: id, attempt, ...fields }
  run.runInAsyncScope(() => writeLine(log, level, all, `background task ${message}`))
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
  // Nobody misses a task for errors where all went well.
  const isMoot = outcome.state === 'skipped' && outcome.reason === 'answered' && settings.when === 'error'
  return isMoot ? 'debug' : levels[outcome.state]
}

/** A switched-off level is the logger's one no-op, in pino and in Fastify's null logger alike. */
function debugs (log: FastifyBaseLogger): boolean {
  try {
    return log.debug !== log.trace
  } catch {
    return true
  }
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

export function logHookError (run: TaskRun, hook: keyof TaskHooks, err: Error): void {
  line('error', run, { err, hook }, 'hook failed')
}

export function logBlocking (run: TaskRun, blocked: number): void {
  line('warn', run, { blocked: Math.round(blocked) }, 'blocked the event loop')
}

export function logStandstill (run: TaskRun, blocked: number): void {
  line('warn', run, { blocked: Math.round(blocked) }, 'ran while the event loop was blocked: by it, or by a request')
}

export function logStranded (run: TaskRun, err: Error): void {
  line('error', run, { err }, 'could not be handed over to the queue')
}

export function logProgressError (run: TaskRun, err: Error): void {
  line('warn', run, { err }, 'progress was not kept')
}

export function logGivenBack (run: TaskRun): void {
  line('warn', run, {}, 'given back to the queue')
}

export function logResultError (run: TaskRun, err: Error): void {
  line('warn', run, { err }, 'completed, but its result cannot be kept')
}
