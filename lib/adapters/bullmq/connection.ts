import type { Redis, RedisOptions } from 'ioredis'
import { within } from '../../time.ts'
import type { Reporter } from './trouble-log.ts'
import { unavailable } from './unavailable.ts'

export type RedisClass = typeof Redis

export interface ConnectionSettings {
  /** A URL, or options of ioredis. */
  readonly connection: string | RedisOptions
  /** ms */
  readonly connectTimeout: number
  /** ms */
  readonly commandTimeout: number
}

/** ms that a command waits for a connection that is not there. */
const PATIENCE = 250

/** ms without an answer after which a worker gives a connection up. BullMQ blocks for 10 s at most. */
const WORKER_SILENCE = 30_000

function open (Client: RedisClass, { connection, connectTimeout }: ConnectionSettings, reporter: Reporter, byDefault: RedisOptions, always: RedisOptions): Redis {
  const options = { connectTimeout, retryStrategy: (times: number) => Math.min(times * 50, 1_000), ...byDefault }
  // BullMQ reads replies in the shape that they had before RESP3.
  const settled = { ...always, replyMapping: 'legacy' } as const
  const client = typeof connection === 'string'
    ? new Client(connection, { ...options, ...settled })
    : new Client({ ...options, ...connection, ...settled })
  client.on('error', reporter.report)
  client.on('ready', reporter.recover)
  return client
}

/** For work and for news of cancelled jobs: it waits for a server that is away, as long as that takes. */
export function openWorkerConnection (Client: RedisClass, settings: ConnectionSettings, reporter: Reporter): Redis {
  return open(Client, settings, reporter, { socketTimeout: WORKER_SILENCE }, {
    enableOfflineQueue: true,
    maxRetriesPerRequest: null,
    autoResendUnfulfilledCommands: true,
    commandTimeout: undefined
  })
}

/**
 * For everything that somebody waits for: what cannot be sent now fails now, what gets no answer fails after
 * `commandTimeout`, and nothing is sent again later, when its sender has long been told that it failed.
 */
export class Connection {
  readonly client: Redis
  readonly #commandTimeout: number
  readonly #connectTimeout: number
  #becomesReady: Promise<void> | undefined = undefined

  constructor (Client: RedisClass, settings: ConnectionSettings, reporter: Reporter) {
    const { connectTimeout, commandTimeout } = settings
    this.#connectTimeout = connectTimeout
    this.#commandTimeout = commandTimeout
    this.client = open(Client, settings, reporter, { commandTimeout, socketTimeout: 2 * commandTimeout }, {
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
    if (!await within(PATIENCE, this.#becomesReady)) throw unavailable(`no connection within ${PATIENCE} ms (${this.client.status})`, false)
  }

  /** Lets what has been sent be answered, if there is somebody to answer. */
  async close (): Promise<void> {
    if (this.isReady) await within(this.#commandTimeout, this.client.quit().catch(() => {}))
    this.client.disconnect()
  }
}
