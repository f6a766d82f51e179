import { once } from 'node:events'
import type { Server } from 'node:http'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

/** Fastify keeps there what listens beside `app.server`: `listen` without a host binds ::1 and 127.0.0.1. */
const BINDINGS = 'fastify.serverBindings'

/**
 * The requests that Fastify does not wait for when it closes, though tasks may yet come from them: those on
 * its further addresses, and those of `inject`.
 */
export class RequestsUnderWay {
  readonly #injected = new Set<object>()
  #closed: Promise<unknown> = Promise.resolve()

  /** Called for every request, so it costs one look. */
  take ({ raw: incoming }: FastifyRequest, { raw }: FastifyReply): void {
    // light-my-request's.
    if ((incoming as { _lightMyRequest?: object })._lightMyRequest === undefined) return
    this.#injected.add(raw)
    raw.once('close', () => this.#injected.delete(raw))
  }

  /** To be called before `app.server` closes, which makes the others close. */
  watchClose (app: FastifyInstance): void {
    const servers = bindingsOf(app).filter(({ listening }) => listening)
    this.#closed = Promise.all(servers.map(server => once(server, 'close')))
  }

  /** Resolves once there are none. */
  async ended (): Promise<void> {
    await this.#closed
    await Promise.all(Array.from(this.#injected, raw => once(raw as Server, 'close')))
  }
}

function bindingsOf (app: FastifyInstance): Server[] {
  for (let place: object | null = app; place !== null; place = Object.getPrototypeOf(place) as object | null) {
    const key = Object.getOwnPropertySymbols(place).find(({ description }) => description === BINDINGS)
    if (key !== undefined) return (place as Record<symbol, Server[]>)[key]!
  }
  return []
}
