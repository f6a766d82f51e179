import type { Server, ServerResponse } from 'node:http'
import type { FastifyInstance, FastifyReply } from 'fastify'

/** Fastify keeps there what listens beside `app.server`: `listen` without a host binds 127.0.0.1 and ::1. */
const BINDINGS = 'fastify.serverBindings'

/**
 * The requests that Fastify does not wait for when it closes, though tasks may yet come from them: those of
 * `inject`, and those on its further addresses.
 */
export class RequestsUnderWay {
  readonly #responses = new Set<FastifyReply['raw']>()

  get size (): number {
    return this.#responses.size
  }

  add (response: FastifyReply['raw']): void {
    this.#responses.add(response)
    response.once('close', () => this.#responses.delete(response))
  }

  /** To be called once the application listens. The requests of its first address then cost nothing. */
  watch (app: FastifyInstance): void {
    for (const server of furtherServers(app)) {
      server.prependListener('request', (_request, response: ServerResponse) => this.add(response))
    }
  }

  /** Resolves once there are none. */
  async ended (): Promise<void> {
    for (const response of this.#responses) await closed(response)
  }
}

function closed (response: FastifyReply['raw']): Promise<void> {
  return new Promise(resolve => { response.once('close', resolve) })
}

function furtherServers (app: FastifyInstance): Server[] {
  for (let place: object | null = app; place !== null; place = Object.getPrototypeOf(place) as object | null) {
    const key = Object.getOwnPropertySymbols(place).find(({ description }) => description === BINDINGS)
    if (key !== undefined) return (place as Record<symbol, Server[]>)[key]!
  }
  return []
}
