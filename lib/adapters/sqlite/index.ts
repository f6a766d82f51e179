import { Type } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import type { Cancellation, Capabilities, CloseOptions, Consumer, EnqueueContext, Health, Job, JobInfo, QueueAdapter, Receipt, RunJob, Schedule, StartOptions, WorkOptions } from '../../../types/index.ts'
import { check, type Checker } from '../../check.ts'
import { FST_ERR_BGT_INVALID_OPTIONS } from '../../errors.ts'
import { type RetentionOptions, retentionDefaults, retentionSchema } from '../kit/retention.ts'
import { Connection } from './connection.ts'
import { SqliteConsumer } from './consumer.ts'
import { fileOf, openFile, type SqliteLike, type SqliteStatement, type SqliteValue } from './driver.ts'
import { Producer } from './enqueue.ts'
import { diagnose } from './health.ts'
import { Leases } from './leases.ts'
import { Pump } from './pump.ts'
import { Schedules } from './schedules.ts'
import { migrate } from './schema.ts'
import { cancel, find } from './status.ts'
import { Sweeper } from './sweeper.ts'
import { unavailable } from './unavailable.ts'

export type { RetentionOptions, SqliteLike, SqliteStatement, SqliteValue }

export interface SqliteOptions {
  /** Path of the database, made where it is missing. Opened by node:sqlite (Node 22.13), else libsql, else better-sqlite3. */
  file?: string
  /**
   * In place of `file`: an opened database of one of these three, such as the application's own. It is used
   * with `synchronous = FULL` and without waiting for locks, and is left as it was; only WAL mode stays.
   */
  database?: SqliteLike
  /** ms, 10 to 60,000, until jobs that other processes have stored are seen. Default 500. */
  pollInterval?: number
  /** ms, 100 to 3,600,000, after which the jobs of a worker that died, or stood still, are given to another. Default 10,000. */
  lease?: number
  /** How many workers in a row may die of a job before it ends as failed, 1 or more. Default 10. */
  maxStalled?: number
  /** ms, 0 to 60,000, that a call waits at the most for others to finish writing. The event loop goes on meanwhile. Default 5,000. */
  busyTimeout?: number
  retention?: RetentionOptions
}

const checker: Checker = TypeCompiler.Compile(Type.Object({
  file: Type.Optional(Type.String({ minLength: 1 })),
  database: Type.Optional(Type.Object({
    exec: Type.Function([], Type.Unknown()),
    prepare: Type.Function([], Type.Unknown())
  }, { expected: 'Expected an opened database of node:sqlite, better-sqlite3 or libsql' })),
  pollInterval: Type.Optional(Type.Number({ minimum: 10, maximum: 60_000 })),
  lease: Type.Optional(Type.Number({ minimum: 100, maximum: 3_600_000 })),
  maxStalled: Type.Optional(Type.Integer({ minimum: 1 })),
  busyTimeout: Type.Optional(Type.Number({ minimum: 0, maximum: 60_000 })),
  retention: Type.Optional(retentionSchema)
}, { additionalProperties: false }))

/**
 * A durable queue in an SQLite file, for the processes of one host.
 *
 * @throws FST_ERR_BGT_INVALID_OPTIONS
 */
export function sqlite (options: SqliteOptions): QueueAdapter<SqliteLike | undefined> {
  check(checker, 'options', options)
  const { file, database } = options
  if ((file === undefined) === (database === undefined)) {
    throw new FST_ERR_BGT_INVALID_OPTIONS('options', `Expected either "file" or "database", got ${file === undefined ? 'neither' : 'both'}`)
  }
  return new SqliteAdapter(options)
}

/** What there is once the database is open. */
interface Parts {
  readonly connection: Connection
  readonly producer: Producer
  readonly schedules: Schedules
  readonly pump: Pump
  readonly sweeper: Sweeper
}

class SqliteAdapter implements QueueAdapter<SqliteLike | undefined> {
  readonly name = 'sqlite'
  readonly capabilities: Capabilities
  readonly #given: SqliteOptions
  readonly #options: Required<Omit<SqliteOptions, 'file' | 'database' | 'retention'>>
  readonly #consumers = new Set<SqliteConsumer>()
  #parts: Parts | undefined
  #started = false
  #closing = false

  constructor (given: SqliteOptions) {
    const { file, database, pollInterval = 500, lease = 10_000, maxStalled = 10, busyTimeout = 5_000 } = given
    this.#given = given
    this.#options = { pollInterval, lease, maxStalled, busyTimeout }
    this.capabilities = {
      delay: true,
      priority: true,
      dedupe: true,
      retry: true,
      result: true,
      cancelPending: true,
      transactional: true,
      durable: database === undefined ? file !== ':memory:' : fileOf(database) !== '',
      schedule: 'second',
      batch: { max: 500, inFlight: 1 }
    }
  }

  /** `undefined` until a `file` is opened, which is at start. */
  get native (): SqliteLike | undefined {
    return this.#given.database ?? this.#parts?.connection.database
  }

  /** @throws FST_ERR_BGT_MISSING_PEER, FST_ERR_BGT_NEWER_SCHEMA, FST_ERR_BGT_QUEUE_UNAVAILABLE */
  async start ({ log }: StartOptions): Promise<void> {
    const { file, database, retention } = this.#given
    const { busyTimeout, lease, maxStalled } = this.#options
    const connection = new Connection(database ?? await openFile(file!), { owned: database === undefined, busyTimeout })
    try {
      await connection.setUp()
      await migrate(connection)
    } catch (error) {
      connection.close()
      throw error
    }
    const schedules = new Schedules(connection)
    this.#parts = {
      connection,
      producer: new Producer(connection),
      schedules,
      pump: new Pump(connection, new Leases(connection, lease, maxStalled), schedules, this.#options, log),
      sweeper: new Sweeper(connection, { ...retentionDefaults, ...retention }, log)
    }
    this.#started = true
  }

  async enqueue (jobs: readonly Job[], context: EnqueueContext = {}): Promise<Receipt[]> {
    const { producer, pump } = await this.#opened()
    if (context.tx !== undefined) return producer.enqueueIn(context.tx, jobs)
    const receipts = await producer.enqueue(jobs, context)
    pump.wake()
    return receipts
  }

  async work (queue: string, run: RunJob, options: WorkOptions): Promise<Consumer> {
    const { pump, sweeper } = await this.#opened()
    if (this.#closing) throw unavailable('it is closing', false)
    const consumer = new SqliteConsumer(queue, run, options, pump)
    this.#consumers.add(consumer)
    pump.add(consumer)
    sweeper.start()
    return consumer
  }

  async status (id: string): Promise<JobInfo | null> {
    const { connection } = await this.#opened()
    return connection.whenFree(() => find(connection, id))
  }

  async cancel (id: string): Promise<Cancellation> {
    const { connection, pump } = await this.#opened()
    const outcome = await connection.write(() => cancel(connection, id))
    if (outcome === 'running') pump.look()
    return outcome
  }

  /** @throws FST_ERR_BGT_INVALID_OPTIONS, FST_ERR_BGT_MISSING_PEER, FST_ERR_BGT_QUEUE_UNAVAILABLE */
  async schedule (schedule: Schedule): Promise<void> {
    const { schedules, pump } = await this.#opened()
    await schedules.put(schedule)
    pump.wake()
  }

  async unschedule (name: string): Promise<boolean> {
    const { schedules } = await this.#opened()
    return schedules.remove(name)
  }

  async health (): Promise<Health> {
    try {
      const { connection, pump } = await this.#opened()
      if (pump.trouble !== undefined) throw pump.trouble
      return await diagnose(connection)
    } catch (error) {
      return { ok: false, warnings: [], error: (error as Error).message }
    }
  }

  async close (options?: CloseOptions): Promise<void> {
    this.#closing = true
    const parts = this.#parts
    parts?.sweeper.stop()
    await Promise.all(Array.from(this.#consumers, consumer => consumer.close(options)))
    parts?.connection.close()
    this.#parts = undefined
  }

  #opened (): Promise<Parts> {
    if (this.#parts !== undefined) return Promise.resolve(this.#parts)
    return Promise.reject(unavailable(this.#started ? 'it is closed' : 'it was not started', false))
  }
}
