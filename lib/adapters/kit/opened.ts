import type { Health } from '../../../types/index.ts'
import { isUnavailable, type MakeUnavailable } from '../../unavailable.ts'

const problems = {
  'not started': 'it was not started',
  started: undefined,
  closing: 'it is closing',
  closed: 'it is closed'
} as const

/** The engine of an adapter, from its start until its close. */
export class Opened<Engine> {
  readonly #unavailable: MakeUnavailable
  #engine: Engine | undefined = undefined
  #state: keyof typeof problems = 'not started'

  constructor (unavailable: MakeUnavailable) {
    this.#unavailable = unavailable
  }

  /** Returns false if the adapter was closed meanwhile: then the engine is not to be used. */
  start (engine: Engine): boolean {
    if (this.#state === 'closed') return false
    this.#engine = engine
    this.#state = 'started'
    return true
  }

  /** @throws FST_ERR_BGT_QUEUE_UNAVAILABLE before the start and after the close. */
  get engine (): Engine {
    if (this.#engine === undefined) throw this.#unavailable(problems[this.#state]!, false)
    return this.#engine
  }

  /** @throws FST_ERR_BGT_QUEUE_UNAVAILABLE also while the adapter is closing: no new work begins then. */
  get engineForWork (): Engine {
    if (this.#state === 'closing') throw this.#unavailable(problems.closing, false)
    return this.engine
  }

  /** The engine where there is one. */
  get current (): Engine | undefined {
    return this.#engine
  }

  /** Never rejects: an engine that cannot be asked is not healthy. */
  async health (ask: (engine: Engine) => Promise<Health>): Promise<Health> {
    try {
      if (this.#engine === undefined) return { ok: false, warnings: [], error: problems[this.#state]! }
      return await ask(this.#engine)
    } catch (error) {
      const { message } = isUnavailable(error) ? error : this.#unavailable({ cause: error }, false)
      return { ok: false, warnings: [], error: message }
    }
  }

  /** The engine can still be used, by the jobs that the close waits for. */
  closing (): void {
    if (this.#state === 'started') this.#state = 'closing'
  }

  /** Returns the engine, which then is the caller's to close, the first time. */
  close (): Engine | undefined {
    const engine = this.#engine
    this.#engine = undefined
    this.#state = 'closed'
    return engine
  }
}
