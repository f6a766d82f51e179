import type { Redis, RedisOptions } from 'ioredis'
import { within } from '../../time.ts'
import { isUnavailable, type MakeUnavailable, type Unavailable, unavailableOf } from '../../unavailable.ts'

export const unavailable: MakeUnavailable = unavailableOf('bullmq')

export type RedisClass = typeof Redis

export interface ConnectionSettings {
  /** A URL, or options of ioredis. */
  readonly connection: string | RedisOptions
  /** ms */
  readonly connectTimeout: number
  /** ms */
  readonly commandTimeout: number
}

/** Told of the errors of connections, and of each that is ready. */
export interface Observer {
  readonly report: (err: Error) => void
  readonly recover: () => void
}

/** ms that a command waits for a connection that is not there. */
const PATIENCE = 250

/** Redis's answers, before it runs anything, when it takes no writes. Redis 6 has the word amid the message. */
const refusal =
  /\b(OOM|MISCONF|READONLY|LOADING|NOAUTH|WRONGPASS|NOPERM|MASTERDOWN|BUSY|NOREPLICAS|CLUSTERDOWN|CROSSSLOT|TRYAGAIN)\b/

/** The answers of a cluster's node that name another one, by its address. */
const redirection = /\b(MOVED|ASK) \d+ /

export const NO_CLUSTER =
  'this is a Redis Cluster, which is not supported: use one Redis, or one behind Sentinels'

/** ioredis's message for a command that it did not send. */
const unsent = /^Stream isn't writeable/

/** ms without an answer after which a worker gives a connection up. BullMQ blocks for 10 s at most. */
const WORKER_SILENCE = 30_000

/** Of a command that failed. It may have been run all the same, unless the error says otherwise. */
export function asUnavailable (error: unknown): Unavailable {
  if (isUnavailable(error)) return error
  const { name, message } = error as Error
  const isReply = name === 'ReplyError'
  if (isReply && redirection.test(message)) return unavailable(NO_CLUSTER, false)
  const refused = isReply && refusal.test(message)
  return unavailable({ cause: error }, !refused && !unsent.test(message))
}

function open (
  Client: RedisClass, settings: ConnectionSettings, observer: Observer, byDefault: RedisOptions, always: RedisOptions
): Redis {
  const { connection, connectTimeout } = settings
  const options = { connectTimeout, retryStrategy: (times: number) => Math.min(times * 50, 1_000), ...byDefault }
  // BullMQ reads replies in the shape that they had before RESP3.
  const settled = { ...always, replyMapping: 'legacy' } as const
  const client = typeof connection === 'string'
    ? new Client(connection, { ...options, ...settled })
    : new Client({ ...options, ...connection, ...settled })
  client.on('error', observer.report)
  client.on('ready', observer.recover)
  return client
}

/** For work and for news of cancelled jobs: it waits for a server that is away, as long as that takes. */
export function openWorkerConnection (Client: RedisClass, settings: ConnectionSettings, observer: Observer): Redis {
  return open(Client, settings, observer, { socketTimeout: WORKER_SILENCE }, {
    enableOfflineQueue: true,
    maxRetriesPerRequest: null,
    autoResendUnfulfilledCommands: true,
    commandTimeout: undefined
  })
}

/**
 * For everything that somebody waits for. A command that cannot be sent now fails now, one without an answer fails
 * after `commandTimeout`, and none is sent again later, when its sender has long been told that it failed.
 */
export class Connection {
  readonly client: Redis
  readonly #commandTimeout: number
  readonly #connectTimeout: number
  #becomesReady: Promise<void> | undefined = undefined

  constructor (Client: RedisClass, settings: ConnectionSettings, observer: Observer) {
    const { connectTimeout, commandTimeout } = settings
    this.#connectTimeout = connectTimeout
    this.#commandTimeout = commandTimeout
    this.client = open(Client, settings, observer, { commandTimeout, socketTimeout: 2 * commandTimeout }, {
      enableOfflineQueue: false,
      maxRetriesPerRequest: 1,
      autoResendUnfulfilledCommands: false
    })
  }

  get isReady (): boolean {
    return this.client.status === 'ready'
  }

  /** Waits until it is known whether the server is there, at most `connectTimeout`. */
  async tried (): Promise<void> {
    const tried = new Promise<void>(resolve => {
      this.client.once('ready', resolve)
      this.client.once('close', resolve)
    })
    await within(this.#connectTimeout, tried)
  }

  /** @throws FST_ERR_BGT_QUEUE_UNAVAILABLE after 250 ms. */
  async ready (): Promise<void> {
    if (this.isReady) return
    this.#becomesReady ??= new Promise(resolve => {
      this.client.once('ready', () => {
        this.#becomesReady = undefined
        resolve()
      })
    })
    const isReady = await within(PATIENCE, this.#becomesReady)
    if (!isReady) throw unavailable(`no connection within ${PATIENCE} ms (${this.client.status})`, false)
  }

  /** Waits for the answers to the commands sent, if there is somebody to answer. */
  async close (): Promise<void> {
    if (this.isReady) await within(this.#commandTimeout, this.client.quit().catch(() => {}))
    this.client.disconnect()
  }
}
