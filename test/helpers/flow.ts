import { setImmediate } from 'node:timers/promises'
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import tap, { type Test } from 'tap'
import backgroundTasks from '../../lib/index.ts'
import type { BackgroundTasksOptions, Ending, When } from '../../types/index.ts'
import { latch } from './latch.ts'
import { dial } from './raw-client.ts'

/** ms after which a task that nobody lets go fails its test, so that those after it still run. */
const HANGS = 30_000

/** ms, far beyond that: a test with this `abortGrace` proves that nothing waited for it. */
export const NEVER = 120_000

process.on('warning', warning => {
  // Of Node or tap about each other.
  if (!['DeprecationWarning', 'ExperimentalWarning'].includes(warning.name)) tap.fail(warning.message, { warning })
})
process.on('unhandledRejection', reason => tap.fail('unhandledRejection', { reason }))

const policies: When[] = ['success', 'error', 'always']

/** The record of a request that called `add` with these labels before its response was over. */
export function became (ending: Ending, ...labels: string[]): string[] {
  const runs = policies.filter(when => when === 'always' || when === { answered: 'success', errored: 'error', unanswered: '' }[ending])
  const names = (picked: When[]): string[] => (labels.length > 0 ? labels : ['']).flatMap(label => picked.map(when => label + when))
  return [...names(policies.filter(when => !runs.includes(when))).map(name => `${name} skipped: ${ending}`), ...names(runs)]
}

/** A server with the plugin, and a record of what became of the tasks of each request. */
export class Flow {
  readonly app: FastifyInstance
  readonly #entered = latch()
  readonly #closed = latch()
  readonly #t: Test
  readonly #records = new Map<string, string[]>()
  readonly #open = new Set<string>()
  #added = 0

  private constructor (t: Test, app: FastifyInstance) {
    this.app = app
    this.#t = t
    t.teardown(() => app.close())
  }

  /** `server` is what Fastify takes, `http2` included; `before` comes before the plugin. */
  static async make (t: Test, options: BackgroundTasksOptions = {}, server: object = {}, before: (app: FastifyInstance) => void = () => {}): Promise<Flow> {
    const flow = new Flow(t, Fastify({ forceCloseConnections: true, ...server }))
    flow.app.addHook('onRequest', (request, reply, done) => {
      const { id } = request
      flow.#records.set(id, [])
      flow.#open.add(id)
      reply.raw.once('close', () => {
        flow.#open.delete(id)
        flow.#closed.open()
      })
      done()
    })
    before(flow.app)
    await flow.app.register(backgroundTasks, { drainTimeout: 1_000, ...options })
    return flow
  }

  listen (): Promise<string> {
    return this.app.listen({ host: '127.0.0.1', port: 0 })
  }

  /** For hooks and handlers: goes on when the first response has closed. */
  untilGone (): Promise<void> {
    this.#entered.open()
    return this.#closed.opened
  }

  /** Resolves when somebody waits in `untilGone`. */
  entered (): Promise<void> {
    return this.#entered.opened
  }

  /** Starts to listen, makes the request, and leaves when somebody waits in `untilGone`. */
  async abort (request: string): Promise<void> {
    const socket = await dial(await this.listen())
    socket.write(request)
    await this.entered()
    socket.destroy()
  }

  /** Adds one task of each policy. */
  add (request: FastifyRequest, label = ''): void {
    for (const when of policies) this.addOne(request, label + when, when)
  }

  addOne (request: FastifyRequest, name: string, when: When = 'always', run: () => unknown = () => {}): void {
    const { id, raw: { socket } } = request
    const record = this.#records.get(id)!
    request.backgroundTasks.add({
      name,
      when,
      hooks: {
        onTaskSkipped: ({ reason }) => record.push(`${name} skipped: ${reason}`),
        onTaskLost: ({ reason }) => record.push(`${name} lost: ${reason}`)
      }
    }, () => {
      // A pipelined response that never got its socket has no end of its own.
      record.push(this.#open.has(id) && !socket.destroyed ? `${name} ran too early` : name)
      return run()
    })
    this.#added++
  }

  /**
   * Once there is nothing left to do: each task ran once after its response was over, or was skipped,
   * as expected of each request in turn, and the accounts agree. Requests without tasks do not count.
   */
  async ended (...expected: string[][]): Promise<void> {
    const { backgroundTasks } = this.app
    await backgroundTasks.idle({ timeout: HANGS })
    await setImmediate()
    const records = [...this.#records.values()].filter(record => record.length > 0)
    this.#t.strictSame(records, expected, 'tasks of each request')
    const all = expected.flat()
    const skipped = all.filter(entry => entry.includes(' skipped: ')).length
    this.#t.match(backgroundTasks.stats(), {
      added: this.#added,
      pending: 0,
      running: 0,
      completed: all.length - skipped,
      failed: 0,
      skipped,
      cancelled: 0,
      escalated: 0,
      lost: 0,
      retrying: 0,
      abandoned: 0
    }, 'stats')
    this.#t.equal(this.#added, all.length, 'every task is expected')
  }
}
