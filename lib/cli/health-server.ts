import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import type { Health, Worker } from '../../types/index.ts'
import type { WorkCommand } from './command.ts'

/** Tells a supervisor how the worker is. It is a server of its own, as the application's never listens. */
export class HealthServer {
  readonly #app: FastifyInstance
  readonly #server: Server
  #state: 'starting' | 'working' | 'closing' = 'starting'
  #worker: Worker | undefined = undefined
  #details = false
  #question: Promise<Health> | undefined = undefined

  constructor (app: FastifyInstance) {
    this.#app = app
    this.#server = createServer((request, response) => { void this.#answer(request, response) })
  }

  /** Listens on all addresses by default, as probes of a container come from outside of it. */
  async listen ({ details = false, ...options }: NonNullable<WorkCommand['health']>): Promise<void> {
    this.#details = details
    this.#server.listen(options)
    await once(this.#server, 'listening')
    const { address, port } = this.#server.address() as AddressInfo
    this.#app.log.info({ address, port }, 'background task worker answers /live and /ready')
  }

  working (worker: Worker): void {
    this.#state = 'working'
    this.#worker = worker
  }

  closing (): void {
    this.#state = 'closing'
  }

  close (): void {
    this.#server.close()
    this.#server.closeAllConnections()
  }

  async #answer ({ method, url }: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = method === 'GET' || method === 'HEAD' ? url!.split('?')[0] : undefined
    if (path === '/live') return send(response, 200, { state: this.#state })
    if (path === '/ready') return await this.#answerReady(response)
    send(response, 404, { error: 'There are GET /live and GET /ready' })
  }

  async #answerReady (response: ServerResponse): Promise<void> {
    if (this.#worker === undefined) return send(response, 503, { state: this.#state })
    const queue = await this.#ask()
    const isReady = this.#state === 'working' && queue.ok
    const details = this.#details ? { queue, worker: this.#worker.stats() } : {}
    send(response, isReady ? 200 : 503, { state: this.#state, ...details })
  }

  /** One question at a time, however many probe, so that they take no more of the queue's connections than that. */
  #ask (): Promise<Health> {
    this.#question ??= this.#app.backgroundTasks.health().finally(() => { this.#question = undefined })
    return this.#question
  }
}

function send (response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' })
  response.end(JSON.stringify(body))
}
