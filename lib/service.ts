import type { FastifyBaseLogger } from 'fastify'
import type { BackgroundTasks, Stats, TaskHandle } from '../types/index.ts'
import { FST_ERR_BGT_IDLE_TIMEOUT } from './errors.ts'
import type { Intake } from './intake.ts'
import { Lane } from './lane.ts'
import { checkOptions } from './options.ts'
import { within } from './within.ts'

/** `app.backgroundTasks`. */
export class Service implements BackgroundTasks {
  readonly #intake: Intake
  readonly #log: FastifyBaseLogger

  constructor (intake: Intake, log: FastifyBaseLogger) {
    this.#intake = intake
    this.#log = log
  }

  add (first: unknown, ...rest: unknown[]): TaskHandle {
    const lane = new Lane(this.#intake.dispatcher, this.#log)
    const handle = this.#intake.add(lane, first, rest)
    this.#intake.dispatcher.release(lane)
    return handle
  }

  async idle (options: { timeout?: number } = {}): Promise<void> {
    checkOptions('idle', 'options', options)
    const { accounts } = this.#intake.dispatcher
    const { timeout } = options
    if (timeout === undefined) return accounts.idle()
    if (await within(timeout, accounts.idle())) return
    throw new FST_ERR_BGT_IDLE_TIMEOUT(timeout, accounts.waiting, accounts.in.running)
  }

  stats (): Stats {
    return this.#intake.dispatcher.accounts.stats()
  }
}
