import { setImmediate } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import type { Hooks } from '../../types/index.ts'
import type { Accounts } from '../in-process/accounts.ts'
import type { Dispatcher } from '../in-process/dispatcher.ts'
import type { Queue } from '../queue/queue.ts'
import type { Events } from '../run/events.ts'
import { within } from '../time.ts'

/** ms that aborted tasks, and then asynchronous hooks, get to end. */
const LAST_CALL = 1_000

/** Fastify's `onClose` method is avvio's, and not in its types. */
type WithOnClose = FastifyInstance & { onClose?: (fn: () => Promise<void>) => void }

/** What starts and shuts down. */
interface Parts {
  readonly accounts: Accounts
  readonly dispatcher: Dispatcher
  readonly events: Events
  readonly queue: Queue
}

interface Times {
  /** ms */
  readonly drainTimeout: number
  /** ms */
  readonly enqueueTimeout: number
}

/** Runs `onStartup` before the server takes requests; drains, then runs `onShutdown`, before other plugins close. */
export function manageLifespan (app: WithOnClose, parts: Parts, options: Times & { readonly hooks: Hooks }): void {
  const { queue } = parts
  const { hooks } = options
  let ready = false
  let shutdown: Promise<void> | undefined

  app.addHook('onReady', async () => {
    await queue.start(app.log)
    await hooks.onStartup?.(app)
    ready = true
  })

  const shutDownOnce = (): Promise<void> => (shutdown ??= shutDown())

  async function shutDown (): Promise<void> {
    await drain(parts, options)
    try {
      if (ready) await hooks.onShutdown?.(app)
    } catch (err) {
      app.log.error({ err, hook: 'onShutdown' }, 'background task hook failed')
    }
    await queue.close(app.log)
  }

  // Queued while the server closes, it is first in line of all onClose hooks. As an ordinary hook it
  // would come after those of every plugin registered later, and be cut off by pluginTimeout besides.
  app.addHook('preClose', done => {
    app.onClose?.(shutDownOnce)
    done()
  })
  app.addHook('onClose', shutDownOnce)
}

async function drain ({ accounts, dispatcher, events, queue }: Parts, { drainTimeout, enqueueTimeout }: Times): Promise<void> {
  const workers = queue.closeWorkers()
  dispatcher.drain()
  await within(drainTimeout, quiet(accounts, workers))
  // Until its end a job may add tasks.
  await workers
  dispatcher.close(drainTimeout)
  if (!await within(LAST_CALL, accounts.idle())) dispatcher.abandon()
  // What is left is on its way to the queue, which answers within its own deadline.
  await within(enqueueTimeout + LAST_CALL, accounts.idle())
  await within(LAST_CALL, events.hooksEnded())
}

/** Idle, and still so a turn of the event loop later: the end of a task may have added another. */
async function quiet (accounts: Accounts, workers: Promise<void>): Promise<void> {
  await workers
  do {
    await accounts.idle()
    await setImmediate()
  } while (!accounts.isIdle)
}
