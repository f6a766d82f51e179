import { createHash } from 'node:crypto'
import type { Client, Pool } from 'pg'
import type { ConstructorOptions, PgBoss, Queue } from 'pg-boss'
import type { StartOptions } from '../../../types/index.ts'
import { FST_ERR_BGT_INVALID_OPTIONS } from '../../errors.ts'
import { within } from '../../time.ts'
import { isUnavailable } from '../../unavailable.ts'
import { importPeer } from '../kit/peer.ts'
import { type Subject, TroubleLog } from '../kit/trouble-log.ts'
import { WakeUp } from '../kit/wake-up.ts'
import { CONNECT_TIMEOUT, Database, QUERY_TIMEOUT, unavailable } from './database.ts'
import { Listener } from './listener.ts'
import { type ResolvedOptions, seconds } from './options.ts'
import { type Statements, statements } from './statements.ts'

const RETRY = 1_000
/** ms, below the 10,000 that Fastify gives a plugin. */
const START_TIMEOUT = 8_000
const STOP_TIMEOUT = 2_000
const HOUR = 3_600_000
/** The kind of trouble that ends when a statement is answered. */
const OUTAGE = 'outage'
const noop = (): void => {}

/** pg-boss, on connections of our own, started again and again until the server is there. */
export class Engine {
  readonly boss: PgBoss
  readonly database: Database
  readonly log: TroubleLog
  readonly options: ResolvedOptions
  readonly queues: readonly string[]
  readonly listener: Listener
  /** Payloads are ids of jobs to cancel. */
  readonly cancelChannel: string
  /** Called when that queue, or any, may have jobs. */
  readonly onJobs: Set<(queue?: string) => void> = new Set()
  readonly onCancel: Set<(id: string) => void> = new Set()
  readonly ready: Promise<void>
  readonly #ownsPool: boolean
  readonly #statements = new Map<string, Statements>()
  readonly #wakeUp = new WakeUp()
  #setReady!: () => void
  #onReconnect!: () => void
  #isReady = false
  #closed = false
  #running: Promise<void> = Promise.resolve()

  /** @throws FST_ERR_BGT_INVALID_OPTIONS, FST_ERR_BGT_MISSING_PEER */
  static async load (options: ResolvedOptions, startOptions: StartOptions): Promise<Engine> {
    const { default: { Pool, Client } } = await importPeer('pg-boss', 'pg', () => import('pg'))
    const { PgBoss } = await importPeer('pg-boss', 'pg-boss', () => import('pg-boss'))
    return new Engine(options, startOptions, Pool, Client, PgBoss)
  }

  private constructor (
    options: ResolvedOptions, { queues, log }: StartOptions, PoolOfPg: typeof Pool, ClientOfPg: typeof Client,
    Boss: typeof PgBoss
  ) {
    const { connection, schema } = options
    this.options = options
    this.queues = queues
    this.log = new TroubleLog(log, 'pg-boss')
    this.cancelChannel = `fbt_cancel_${createHash('sha256').update(schema).digest('hex').slice(0, 24)}`
    this.ready = new Promise(resolve => { this.#setReady = resolve })
    for (const queue of queues) {
      if (/^[\w.\-/]+$/.test(queue)) continue
      const problem = `Expected letters, digits and _ - . / as pg-boss wants them, got ${JSON.stringify(queue)}`
      throw new FST_ERR_BGT_INVALID_OPTIONS('queue', problem)
    }
    this.#ownsPool = options.pool === undefined
    const pool = options.pool ?? new PoolOfPg({
      connectionTimeoutMillis: CONNECT_TIMEOUT,
      query_timeout: QUERY_TIMEOUT,
      keepAlive: true,
      allowExitOnIdle: true,
      ...(typeof connection === 'string' ? { connectionString: connection } : connection)
    })
    this.database = new Database(pool, error => this.#tellOutage(error))
    this.listener = new Listener(pool, ClientOfPg, () => {
      this.#onReconnect()
      this.#announce()
    })
    this.listener.on(this.cancelChannel, id => { for (const take of this.onCancel) take(id) })
    this.boss = this.#newBoss(Boss)
    this.boss.on('error', error => {
      if (isUnavailable(error)) return
      this.log.trouble(error, 'pg-boss has failed at its maintenance', {}, undefined, false)
    })
    this.boss.on('warning', ({ message }) => this.log.quote(`pg-boss warns: ${message}`))
  }

  /** Once pg-boss has started. */
  statementsOf (queue: string): Statements {
    return this.#statements.get(queue)!
  }

  get isReady (): boolean {
    return this.#isReady
  }

  /** @throws FST_ERR_BGT_QUEUE_UNAVAILABLE until pg-boss has started. */
  assertReady (): void {
    if (!this.#isReady) throw unavailable('pg-boss has not started yet', false)
  }

  /** Told once until it is cured. A server that does not answer is told of as such. */
  trouble (err: unknown, message: string, subject: Subject = {}): void {
    if (!isUnavailable(err)) this.log.trouble(err, message, subject, kindOf(message, subject))
  }

  /** @param message of the trouble. */
  cured (message: string, subject: Subject): void {
    this.log.cured(`no longer so: ${message}`, kindOf(message, subject))
  }

  /** Resolves once pg-boss runs, or has failed to for the first time. */
  async start (): Promise<void> {
    const first = this.#tryToStart()
    this.#running = first.then(() => this.#startInTheEnd())
    await within(START_TIMEOUT, first)
  }

  /** Breaks off the statements that the server does not answer in time. */
  async close (): Promise<void> {
    this.#closed = true
    this.#isReady = false
    this.#wakeUp.wake()
    this.listener.close()
    const stopped = this.#running.then(() => this.boss.stop({ graceful: false, close: false })).catch(noop)
    if (!await within(STOP_TIMEOUT, stopped)) {
      this.database.abandon()
      await within(STOP_TIMEOUT, stopped)
    }
    await this.database.close(this.#ownsPool)
  }

  #newBoss (Boss: typeof PgBoss): PgBoss {
    const { schema, retention, bossOptions } = this.options
    const cleaning = seconds(Math.min(retention.completed, retention.failed, HOUR))
    const options: ConstructorOptions = {
      useListenNotify: true,
      // How late a job of a schedule may be; pg-boss's defaults are 30 and 5.
      cronMonitorIntervalSeconds: 5,
      cronWorkerIntervalSeconds: 1,
      superviseIntervalSeconds: Math.min(60, cleaning),
      maintenanceIntervalSeconds: cleaning,
      // Since 12.38 each fetch would be a span of its own trace, two a second and queue at rest.
      ...{ openTelemetry: { enabled: false } },
      ...bossOptions,
      schema,
      db: Object.assign(this.database, {
        listen: (channel: string, onNotification: (payload: string) => void, onReconnect: () => void) => {
          this.listener.on(channel, queue => {
            onNotification(queue)
            this.#announce(queue)
          })
          this.#onReconnect = onReconnect
          this.listener.open()
          return Promise.resolve({ close: () => Promise.resolve(this.listener.close()) })
        }
      })
    }
    try {
      return new Boss(options)
    } catch (cause) {
      throw new FST_ERR_BGT_INVALID_OPTIONS('options', (cause as Error).message, { cause })
    }
  }

  #tellOutage (error: Error | undefined): void {
    if (error === undefined) this.log.cured('PostgreSQL answers again', OUTAGE)
    else this.log.trouble(error, 'PostgreSQL does not answer', {}, OUTAGE)
  }

  #announce (queue?: string): void {
    for (const take of this.onJobs) take(queue)
  }

  async #startInTheEnd (): Promise<void> {
    while (!this.#isReady && !this.#closed) {
      await this.#wakeUp.sleep(RETRY)
      if (!this.#closed) await this.#tryToStart()
    }
  }

  async #tryToStart (): Promise<void> {
    try {
      await this.boss.start()
      for (const queue of this.queues) await this.#prepare(queue)
      this.#isReady = !this.#closed
      this.#setReady()
    } catch (error) {
      this.trouble(error, 'pg-boss could not be started, and is tried again')
      await this.boss.stop({ graceful: false, close: false }).catch(noop)
    }
  }

  async #prepare (name: string): Promise<void> {
    const { schema, lease, maxStalled, retention, queueOptions } = this.options
    const { policy, partition, ...options }: Omit<Queue, 'name'> = {
      notify: true,
      heartbeatSeconds: Math.max(10, seconds(lease)),
      retryLimit: maxStalled - 1,
      deleteAfterSeconds: seconds(retention.failed),
      ...queueOptions
    }
    if (options.deadLetter !== undefined) await this.boss.createQueue(options.deadLetter)
    await this.boss.createQueue(name, { ...queueOptions, ...options })
    await this.boss.updateQueue(name, options)
    const { table } = (await this.boss.getQueue(name))!
    this.#statements.set(name, statements(schema, table))
    // Nothing, but pg-boss then knows the queue, and needs no connection for it when the pool is exhausted.
    await this.boss.insert(name, [])
  }
}

function kindOf (message: string, { queue }: Subject): string {
  return `${message} ${queue}`
}
