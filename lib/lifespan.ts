import { setImmediate } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import type { Dispatcher } from './dispatcher.ts'
import type { Events } from './events.ts'
import type { ResolvedOptions } from './options.ts'
import type { Accounts } from './outcome.ts'
import { within } from './within.ts'

/** ms that aborted tasks, and then asynchronous hooks, get to end. */
const LAST_CALL = 1_000

/** Fastify's `onClose` method is avvio's, and not in its types. */
type WithOnClose = FastifyInstance & { onClose?: (fn: () => Promise<void>) => void }

/** Runs `onStartup` before the server takes requests; drains, then runs `onShutdown`, before other plugins close. */
export function manageLifespan (app: WithOnClose, dispatcher: Dispatcher, events: Events, { hooks, drainTimeout }: ResolvedOptions): void {
  let ready = false
  let shutdown: Promise<void> | undefined

  app.addHook('onReady', async () => {
    await hooks.onStartup?.(app)
    ready = true
  })

  const shutDownOnce = (): Promise<void> => (shutdown ??= shutDown())

  async function shutDown (): Promise<void> {
    await drain(dispatcher, events, drainTimeout)
    if (!ready) return
    try {
      await hooks.onShutdown?.(app)
    } catch (err) {
      app.log.error({ err, hook: 'onShutdown' }, 'background tasks hook failed')
    }
  }

  // Queued while the server closes, it is first in line of all onClose hooks. As an ordinary hook it
  // would come after those of every plugin registered later, and be cut off by pluginTimeout besides.
  app.addHook('preClose', done => {
    app.onClose?.(shutDownOnce)
    done()
  })
  app.addHook('onClose', shutDownOnce)
}

async function drain (dispatcher: Dispatcher, events: Events, drainTimeout: number): Promise<void> {
  const { accounts } = dispatcher
  dispatcher.drain()
  await within(drainTimeout, quiet(accounts))
  dispatcher.close(drainTimeout)
  if (!await within(LAST_CALL, accounts.idle())) dispatcher.abandon()
  await within(LAST_CALL, events.hooksEnded())
}

/** Idle, and still so a turn of the event loop later: the end of a task may have added another. */
async function quiet (accounts: Accounts): Promise<void> {
  do {
    await accounts.idle()
    await setImmediate()
  } while (!accounts.isIdle)
}
