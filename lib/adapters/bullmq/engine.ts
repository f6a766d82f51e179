import type { FastifyBaseLogger } from 'fastify'
import type { Redis } from 'ioredis'
import type { Cancellation } from '../../../types/index.ts'
import { Connection, openWorkerConnection, type RedisClass } from './connection.ts'
import type { ResolvedBullmqOptions } from './options.ts'
import { type Bullmq, Queues } from './queues.ts'
import { defineScripts, type Inspected, type Scripts } from './scripts.ts'
import { Reporter } from './trouble-log.ts'

/** Redis, as this process is connected to it. */
export class Server {
  readonly bullmq: Bullmq
  readonly log: FastifyBaseLogger
  readonly reporter: Reporter
  readonly connection: Connection
  readonly queues: Queues
  readonly nativeQueues: Queues
  readonly #Client: RedisClass
  readonly #options: ResolvedBullmqOptions
  readonly #scripts: Scripts
  #workerClient: Redis | undefined = undefined
  #subscriber: Redis | undefined = undefined

  constructor (bullmq: Bullmq, Client: RedisClass, options: ResolvedBullmqOptions, log: FastifyBaseLogger) {
    const { queueOptions, prefix } = options
    const defaults = { ...queueOptions, prefix, defaultJobOptions: { stackTraceLimit: 1, ...queueOptions.defaultJobOptions } }
    this.bullmq = bullmq
    this.log = log
    this.#Client = Client
    this.#options = options
    this.reporter = new Reporter(log)
    this.connection = new Connection(Client, options, this.reporter)
    this.queues = new Queues(bullmq, this.connection, defaults, true)
    this.nativeQueues = new Queues(bullmq, this.connection, { ...queueOptions, prefix }, false)
    this.#scripts = defineScripts(this.connection.client)
  }

  /** One for all queues; each of their workers makes one more, to block on. */
  get workerClient (): Redis {
    return (this.#workerClient ??= openWorkerConnection(this.#Client, this.#options, this.reporter))
  }

  /** Listens, from when Redis is there, to what `cancel` found running. */
  hearCancelled (cancelled: (queue: string, id: string) => void): void {
    if (this.#subscriber !== undefined) return
    this.#subscriber = openWorkerConnection(this.#Client, this.#options, this.reporter)
    this.#subscriber.on('message', (_channel, news) => {
      const [queue, id] = news.split(':', 2) as [string, string]
      cancelled(queue, id)
    })
    void this.#subscriber.subscribe(this.#channel).catch(this.reporter.report)
  }

  readonly inspect = async (queue: string, id: string): Promise<Inspected> => {
    const key = this.#keys(queue)
    return this.#scripts.bgtInspect(key(id), key(`${id}:lock`), key('delayed'), id)
  }

  /** @throws where Redis does not answer. */
  readonly cancel = async (queue: string, id: string, result: string): Promise<Cancellation> => {
    const key = this.#keys(queue)
    const keys = [id, 'delayed', 'prioritized', 'wait', 'paused', 'completed', 'events', `${id}:lock`].map(key)
    const news = `${queue}:${id}`
    const answer = await this.#scripts.bgtCancel(...keys, id, Date.now(), result, this.#channel, news)
    if (answer !== 'child') return answer
    if (await (await this.queues.open(queue)).remove(id) === 1) return 'cancelled'
    // A worker has taken it in between.
    await this.connection.client.publish(this.#channel, news)
    return 'running'
  }

  async close (): Promise<void> {
    this.reporter.silent = true
    this.#subscriber?.disconnect()
    this.#workerClient?.disconnect()
    await Promise.all([this.queues.close(), this.nativeQueues.close()])
    await this.connection.close()
  }

  get #channel (): string {
    return `${this.#options.prefix}:cancelled`
  }

  #keys (queue: string): (key: string) => string {
    return key => `${this.#options.prefix}:${queue}:${key}`
  }
}
