import type { Redis } from 'ioredis'
import type { Cancellation, StartOptions } from '../../../types/index.ts'
import { FST_ERR_BGT_INVALID_OPTIONS } from '../../errors.ts'
import { importPeer } from '../kit/peer.ts'
import { TroubleLog } from '../kit/trouble-log.ts'
import { Connection, type Observer, openWorkerConnection, type RedisClass } from './connection.ts'
import type { ResolvedOptions } from './options.ts'
import { type Bullmq, Queues } from './queues.ts'
import { defineScripts, type Inspected, type Scripts } from './scripts.ts'

/** Redis, as this process is connected to it. */
export class Engine implements Observer {
  readonly bullmq: Bullmq
  readonly log: TroubleLog
  readonly options: ResolvedOptions
  readonly connection: Connection
  readonly queues: Queues
  readonly nativeQueues: Queues
  /** Of all queues that are known here: jobs are looked for in each. */
  readonly names: Set<string>
  /** Called with the queue and the id of a job that was running when it was cancelled. */
  readonly onCancelled: Set<(queue: string, id: string) => void> = new Set()
  readonly #Client: RedisClass
  readonly #scripts: Scripts
  #workerClient: Redis | undefined = undefined
  #subscriber: Redis | undefined = undefined

  /** @throws FST_ERR_BGT_INVALID_OPTIONS, FST_ERR_BGT_MISSING_PEER */
  static async load (options: ResolvedOptions, startOptions: StartOptions): Promise<Engine> {
    for (const name of startOptions.queues) {
      if (name !== '' && !name.includes(':')) continue
      const problem = `Expected a name that is not empty and has no ":", as BullMQ wants it, got "${name}"`
      throw new FST_ERR_BGT_INVALID_OPTIONS('queue', problem)
    }
    const bullmq = await importPeer('bullmq', 'bullmq', () => import('bullmq'))
    const { Redis } = await importPeer('bullmq', 'ioredis', () => import('ioredis'))
    return new Engine(bullmq, Redis, options, startOptions)
  }

  private constructor (bullmq: Bullmq, Client: RedisClass, options: ResolvedOptions, { queues, log }: StartOptions) {
    const { queueOptions, prefix } = options
    const defaultJobOptions = { stackTraceLimit: 1, ...queueOptions.defaultJobOptions }
    this.bullmq = bullmq
    this.log = new TroubleLog(log, 'bullmq')
    this.options = options
    this.names = new Set(queues)
    this.#Client = Client
    this.connection = new Connection(Client, options, this)
    this.queues = new Queues(bullmq, this.connection, { ...queueOptions, prefix, defaultJobOptions }, true)
    this.nativeQueues = new Queues(bullmq, this.connection, { ...queueOptions, prefix }, false)
    this.#scripts = defineScripts(this.connection.client)
  }

  readonly report = (err: Error): void => this.log.trouble(err, 'BullMQ, or its connection to Redis, has failed')

  readonly recover = (): void => this.log.cured('Redis is connected again')

  /** One for all queues; each of their workers makes one more, to block on. */
  get workerClient (): Redis {
    return (this.#workerClient ??= openWorkerConnection(this.#Client, this.options, this))
  }

  /** Listens, from when Redis is there, to what `cancel` found running. */
  hearCancelled (): void {
    if (this.#subscriber !== undefined) return
    this.#subscriber = openWorkerConnection(this.#Client, this.options, this)
    this.#subscriber.on('message', (_channel, news) => {
      const [queue, id] = news.split(':', 2) as [string, string]
      for (const take of this.onCancelled) take(queue, id)
    })
    void this.#subscriber.subscribe(this.#channel).catch(this.report)
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
    this.log.silence()
    this.#subscriber?.disconnect()
    this.#workerClient?.disconnect()
    await Promise.all([this.queues.close(), this.nativeQueues.close()])
    await this.connection.close()
  }

  get #channel (): string {
    return `${this.options.prefix}:cancelled`
  }

  #keys (queue: string): (key: string) => string {
    return key => `${this.options.prefix}:${queue}:${key}`
  }
}
