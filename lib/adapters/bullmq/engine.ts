import type { Redis } from 'ioredis'
import type { Cancellation, StartOptions } from '../../../types/index.ts'
import { FST_ERR_BGT_INVALID_OPTIONS } from '../../errors.ts'
import { importPeer } from '../kit/peer.ts'
import { TroubleLog } from '../kit/trouble-log.ts'
import { Connection, NO_CLUSTER, type Observer, openWorkerConnection, type RedisClass } from './connection.ts'
import { isCluster, settingsOf } from './health.ts'
import type { ResolvedOptions } from './options.ts'
import { type Bullmq, Queues } from './queues.ts'
import { defineScripts, type Inspected, type Scripts, WISH } from './scripts.ts'

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
  /** Called with the queue and the id of a job that somebody may have cancelled while it was running. */
  readonly onBell: Set<(queue: string, id: string) => void> = new Set()
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

  /**
   * Of a server that is there.
   *
   * @throws FST_ERR_BGT_INVALID_OPTIONS
   */
  async checkServer (): Promise<void> {
    // Without an answer health tells.
    const settings = await settingsOf(this.connection.client).catch(() => new Map<string, string>())
    if (isCluster(settings)) throw new FST_ERR_BGT_INVALID_OPTIONS('bullmq/connection', NO_CLUSTER)
  }

  readonly report = (err: Error): void => this.log.trouble(err, 'BullMQ, or its connection to Redis, has failed')

  readonly recover = (): void => this.log.cured('Redis is connected again')

  /** One for all queues; each of their workers makes one more, to block on. */
  get workerClient (): Redis {
    return (this.#workerClient ??= openWorkerConnection(this.#Client, this.options, this))
  }

  /** Listens, from when Redis is there, to the messages of `cancel`. Anybody may send one: they prove nothing. */
  hearBells (): void {
    if (this.#subscriber !== undefined) return
    this.#subscriber = openWorkerConnection(this.#Client, this.options, this)
    this.#subscriber.on('message', (_channel, news) => {
      // Ids of schedules' jobs have colons, names of queues have none.
      const end = news.indexOf(':')
      for (const hear of this.onBell) hear(news.slice(0, end), news.slice(end + 1))
    })
    void this.#subscriber.subscribe(this.#channel).catch(this.report)
  }

  readonly inspect = async (queue: string, id: string): Promise<Inspected> => {
    const key = this.#keys(queue)
    return this.#scripts.bgtInspect(key(id), key(`${id}:lock`), key('delayed'), id)
  }

  /** Those of these jobs that are to be cancelled. @throws where Redis does not answer. */
  async wished (queue: string, ids: string[]): Promise<string[]> {
    const key = this.#keys(queue)
    const answers = await Promise.all(ids.map(id => this.connection.client.hexists(key(id), WISH)))
    return ids.filter((_id, i) => answers[i] === 1)
  }

  /** @throws where Redis does not answer. */
  readonly cancel = async (queue: string, id: string, result: string): Promise<Cancellation> => {
    const key = this.#keys(queue)
    const keys = [id, 'delayed', 'prioritized', 'wait', 'paused', 'completed', 'events', `${id}:lock`].map(key)
    const args = [...keys, id, Date.now(), result, this.#channel, `${queue}:${id}`]
    const answer = await this.#scripts.bgtCancel(...args, '')
    if (answer !== 'child') return answer
    if (await (await this.queues.open(queue)).remove(id) === 1) return 'cancelled'
    return await this.#scripts.bgtCancel(...args, 'taken') as Cancellation
  }

  async close (): Promise<void> {
    this.log.silence()
    this.#subscriber?.disconnect()
    this.#workerClient?.disconnect()
    await Promise.all([this.queues.close(), this.nativeQueues.close()])
    await this.connection.close()
  }

  /** Redis hands messages on whatever the database. */
  get #channel (): string {
    return `${this.options.prefix}:cancelled:${this.connection.client.options.db}`
  }

  #keys (queue: string): (key: string) => string {
    return key => `${this.options.prefix}:${queue}:${key}`
  }
}
