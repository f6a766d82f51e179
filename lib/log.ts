import type { FastifyBaseLogger } from 'fastify'
import { describeFailure } from './failure.ts'

type Level = 'debug' | 'info' | 'warn' | 'error'

interface Fields {
  readonly err?: unknown
  readonly task?: string
  readonly taskId?: string
  readonly [name: string]: unknown
}

/**
 * Writes a line, and never throws. A logger may: pino does for an error that is frozen, whose getters throw or
 * whose causes are thousands deep. Then the line is written again with what can be read. If that throws too, it
 * is a warning of the process.
 */
export function writeLine (log: FastifyBaseLogger, level: Level, fields: Fields, message: string): void {
  try {
    log[level](fields, message)
  } catch {
    writeAgain(log, level, fields, message)
  }
}

function writeAgain (log: FastifyBaseLogger, level: Level, { err, ...fields }: Fields, message: string): void {
  try {
    // Without a prototype, so that pino takes its name for its type.
    const readable = err && Object.assign(Object.create(null) as object, describeFailure(err as Error))
    log[level]({ err: readable, ...fields }, message)
  } catch {
    const { task, taskId } = fields
    const about = task === undefined ? '' : ` about task "${task}" (${taskId})`
    process.emitWarning(`The logger threw at the line "${message}"${about}`, 'FastifyBackgroundTasksWarning')
  }
}
