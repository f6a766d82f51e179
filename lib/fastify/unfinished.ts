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
  for (const dispatcher of open) {
    const names = dispatcher.unfinished()
    const line = `fastify-background-tasks: the process ends, and tasks are left that have not ended: ${list(names)}\n`
    if (names.length > 0) writeSync(STDERR, line)
  }
}

/** `3 (mail, mail, report)` */
export function list (names: readonly string[]): string {
  const more = names.length > MOST ? ', ...' : ''
  return `${names.length} (${names.slice(0, MOST).join(', ')}${more})`
}

const NO_HANDLER = 'background tasks are lost at SIGTERM and SIGINT, as nothing in this process listens for them and closes ' +
  'the application: install close-with-grace and call closeWithGrace(({ err }) => { if (err) app.log.error(err); return app.close() })'

/** A turn later, as signal handlers are often added right after `listen`. */
export function warnWithoutSignalHandler (log: FastifyBaseLogger): void {
  setImmediate(() => {
    if (process.listenerCount('SIGTERM') === 0 && process.listenerCount('SIGINT') === 0) writeLine(log, 'warn', {}, NO_HANDLER)
  })
}
