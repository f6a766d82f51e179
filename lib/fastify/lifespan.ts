import { setImmediate } from 'node:timers/promises'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type { Hooks } from '../../types/index.ts'
import type { Accounts } from '../in-process/accounts.ts'
import type { Dispatcher } from '../in-process/dispatcher.ts'
import type { Escalation } from '../in-process/escalation.ts'
import { writeLine } from '../log.ts'
import type { Queue } from '../queue/queue.ts'
import { ABORT_TIME } from '../queue/worker.ts'
import type { Events } from '../run/events.ts'
import { Deadline, within } from '../time.ts'
import type { RequestsUnderWay } from './requests-under-way.ts'
import { doNotTell, list, tellAtExit, warnWithoutSignalHandler } from './unfinished.ts'

/** ms that all steps after the drain may take together, `onShutdown` excepted. */
const AFTER_DRAIN = 1_800

/** ms that asynchronous hooks, and workers, get to end once nothing runs any more. */
const LONGEST_HOOKS = 1_000

/** ms of these that are kept for asynchronous hooks to end, and for the adapter to close. */
const HOOKS = 400
const CLOSE = 400

/** ms that the adapter gets at the most. */
const LONGEST_CLOSE = 5_000

/** ms after which a close that goes on says again what it waits for. */
const SILENCE = 5_000

const STILL_SHUTTING_DOWN = 'background task hook onShutdown has not ended, and the close waits for it'

/** Fastify's `onClose` method is avvio's, and not in its types. */
type WithOnClose = FastifyInstance & { onClose?: (fn: () => Promise<void>) => void }

/** The parts that start and shut down. */
interface Parts {
  readonly accounts: Accounts
  readonly dispatcher: Dispatcher
  readonly escalation: Escalation
  readonly events: Events
  readonly queue: Queue
  readonly requests: RequestsUnderWay
}

interface Options {
  /** ms */
  readonly drainTimeout: number
  readonly hooks: Hooks
}

/** Runs `onStartup` before the server takes requests; drains, then runs `onShutdown`, before other plugins close. */
export function manageLifespan (app: WithOnClose, parts: Parts, options: Options): void {
  const { dispatcher, queue, requests } = parts
  const { hooks } = options
  let ready = false
  let shutdown: Promise<void> | undefined

  app.addHook('onReady', async () => {
    await queue.start(app.log)
    await hooks.onStartup?.(app)
    tellAtExit(dispatcher)
    ready = true
  })

  app.addHook('onListen', done => {
    requests.watch(app)
    warnWithoutSignalHandler(app.log)
    done()
  })

  const shutDownOnce = (): Promise<void> => (shutdown ??= shutDown())

  async function shutDown (): Promise<void> {
    const drainTimeout = Math.max(options.drainTimeout, queue.drainTimeout)
    const deadline = new Deadline(drainTimeout + AFTER_DRAIN)
    await drain(app.log, parts, drainTimeout, deadline)
    const left = Math.min(Math.max(Math.round(deadline.left()), CLOSE), LONGEST_CLOSE)
    if (ready) await runOnShutdown(app, hooks)
    await queue.close(app.log, left)
    doNotTell(dispatcher)
  }

  // It is queued while the server closes, and so runs before all onClose hooks. An ordinary hook would run
  // after those of every plugin registered later, and pluginTimeout would cut it off besides.
  app.addHook('preClose', done => {
    app.onClose?.(shutDownOnce)
    done()
  })
  app.addHook('onClose', shutDownOnce)
}

async function drain (log: FastifyBaseLogger, parts: Parts, drainTimeout: number, deadline: Deadline): Promise<void> {
  const { accounts, dispatcher, escalation, events, queue, requests } = parts
  const workers = queue.closeWorkers()
  const forfeited = dispatcher.drain()
  const stopTelling = tellOfDrain(log, parts, drainTimeout, forfeited)
  await within(drainTimeout, quiet(accounts, requests, workers))
  // Jobs that end now may still add tasks, which are lost with the others.
  dispatcher.close(drainTimeout)
  if (!await accounts.idle(ABORT_TIME)) dispatcher.abandon()
  // All tasks that are left are on their way to the queue.
  if (!await accounts.idle(deadline.left(HOOKS + CLOSE))) escalation.giveUp()
  const left = Math.min(LONGEST_HOOKS, deadline.left(CLOSE))
  await within(left, Promise.all([events.hooksEnded(), workers]))
  stopTelling()
}

/** Idle, and still so a turn of the event loop later: the end of a task may have added another. */
async function quiet (accounts: Accounts, requests: RequestsUnderWay, workers: Promise<void>): Promise<void> {
  await Promise.all([workers, requests.ended()])
  do {
    await accounts.idle()
    await setImmediate()
  } while (!accounts.isIdle)
}

/** Says at once and every few seconds what the close waits for. */
function tellOfDrain (
  log: FastifyBaseLogger, { dispatcher, events, queue, requests }: Parts, drainTimeout: number, forfeited: number
): () => void {
  const tell = (): void => {
    const names = dispatcher.unfinished()
    const { length: tasks } = names
    const { running: jobs } = queue
    const { hooksUnderWay: hooks } = events
    const { size: underWay } = requests
    if (tasks + jobs + hooks + underWay === 0) return
    const what = [
      tasks > 0 && `${count(tasks, 'task')} (${list(names)})`,
      jobs > 0 && count(jobs, 'job'),
      hooks > 0 && count(hooks, 'hook'),
      underWay > 0 && count(underWay, 'request')
    ].filter(Boolean).join(', ')
    const retries = forfeited > 0 ? `. Not waited for: ${count(forfeited, 'retry', 'retries')}` : ''
    const fields = { tasks, jobs, hooks, requests: underWay, forfeited, drainTimeout }
    writeLine(log, 'info', fields, `background task drain waits at most ${drainTimeout} ms for ${what}${retries}`)
  }
  tell()
  const timer = setInterval(tell, SILENCE)
  return () => clearInterval(timer)
}

function count (n: number, one: string, many = `${one}s`): string {
  return `${n} ${n === 1 ? one : many}`
}

async function runOnShutdown (app: FastifyInstance, { onShutdown }: Hooks): Promise<void> {
  const tell = (): void =>
    writeLine(app.log, 'warn', { hook: 'onShutdown' }, STILL_SHUTTING_DOWN)
  const timer = setInterval(tell, SILENCE)
  try {
    await onShutdown?.(app)
  } catch (err) {
    writeLine(app.log, 'error', { err, hook: 'onShutdown' }, 'background task hook failed')
  } finally {
    clearInterval(timer)
  }
}
