import type { IRedisClient, Queue, QueueOptions } from 'bullmq'
import { asUnavailable, type Connection } from './connection.ts'
import { tellKnownJobs } from './scripts.ts'

export type Bullmq = typeof import('bullmq')

/**
 * Queues over one client. Each is made only once that is ready, and thrown away if its start fails: a Queue
 * remembers how its start went, and one that failed would fail for ever.
 */
export class Queues {
  readonly #bullmq: Bullmq
  readonly #connection: Connection
  readonly #client: IRedisClient
  readonly #options: Omit<QueueOptions, 'connection'>
  readonly #opened = new Map<string, Queue>()
  readonly #opening = new Map<string, Promise<Queue>>()

  constructor (bullmq: Bullmq, connection: Connection, options: Omit<QueueOptions, 'connection'>, tell: boolean) {
    const client = bullmq.createIORedisClient(connection.client)
    this.#bullmq = bullmq
    this.#connection = connection
    this.#client = tell ? tellKnownJobs(client) : client
    this.#options = options
  }

  /** The queue that `open` would resolve with, where it need not be awaited. */
  get (name: string): Queue | undefined {
    return this.#connection.isReady ? this.#opened.get(name) : undefined
  }

  /** @throws FST_ERR_BGT_QUEUE_UNAVAILABLE */
  async open (name: string): Promise<Queue> {
    await this.#connection.ready()
    const opened = this.#opened.get(name)
    if (opened !== undefined) return opened
    let opening = this.#opening.get(name)
    if (opening === undefined) {
      opening = this.#make(name).finally(() => this.#opening.delete(name))
      this.#opening.set(name, opening)
    }
    return opening
  }

  async #make (name: string): Promise<Queue> {
    const options = { ...this.#options, connection: this.#client, skipWaitingForReady: true }
    const queue = new this.#bullmq.Queue(name, options)
    // It repeats the client's errors, which are reported there.
    queue.on('error', () => {})
    try {
      await queue.waitUntilReady()
    } catch (error) {
      await queue.close()
      throw Object.assign(asUnavailable(error), { ambiguous: false })
    }
    this.#opened.set(name, queue)
    return queue
  }

  async close (): Promise<void> {
    await Promise.all(Array.from(this.#opened.values(), queue => queue.close()))
  }
}
