import { writeSync } from 'node:fs'
import type { FastifyBaseLogger } from 'fastify'
import type { Dispatcher } from '../in-process/dispatcher.ts'
import { writeLine } from '../log.ts'

const STDERR = 2

/** Names of tasks in one line, at most. */
const MOST = 10

/** The applications of this process that may have tasks left. */
const open = new Set<Dispatcher>()

/** From now on the process tells at its exit which tasks it leaves behind. */
export function tellAtExit (dispatcher: Dispatcher): void {
  if (open.size === 0) process.on('exit', tell)
  open.add(dispatcher)
}

/** The application has closed. */
export function doNotTell (dispatcher: Dispatcher): void {
  open.delete(dispatcher)
  if (open.size === 0) process.off('exit', tell)
}

/** Written at once: nothing asynchronous runs any more. */
function tell (): void {
  const names = Array.from(open, dispatcher => dispatcher.unfinished()).flat()
  if (names.length === 0) return
  try {
    const { length } = names
    const tasks = `${length} background ${length === 1 ? 'task' : 'tasks'} (${list(names)})`
    writeSync(STDERR, `fastify-background-tasks: the process exits before the end of ${tasks}\n`)
  } catch {
    // Nobody reads stderr. That must not change the exit code.
  }
}

/** The first of them. */
export function list (names: readonly string[]): string {
  const more = names.length > MOST ? ', ...' : ''
  return names.slice(0, MOST).join(', ') + more
}

const NO_HANDLER = 'background tasks will be lost at SIGTERM and SIGINT: nothing in this process listens for these ' +
  'signals. Add: import closeWithGrace from \'close-with-grace\'; ' +
  'closeWithGrace(async ({ err }) => { if (err) app.log.error(err); await app.close() })'

/** A turn later, as many add their signal handlers right after `listen`. */
export function warnWithoutSignalHandler (log: FastifyBaseLogger): void {
  setImmediate(() => {
    const hasHandler = ['SIGTERM', 'SIGINT'].some(signal => process.listenerCount(signal) > 0)
    if (!hasHandler) writeLine(log, 'warn', {}, NO_HANDLER)
  })
}
