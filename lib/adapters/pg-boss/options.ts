import { Type } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import type { Pool, PoolConfig } from 'pg'
import type { ConstructorOptions, FetchOptions, Queue } from 'pg-boss'
import { check, type Checker } from '../../check.ts'
import { FST_ERR_BGT_INVALID_OPTIONS } from '../../errors.ts'
import { retentionDefaults, retentionSchema, type RetentionOptions } from '../kit/retention.ts'

export interface PgBossOptions {
  /**
   * Where PostgreSQL is: a URL, or the options of a `pg.Pool` of the adapter's own. Default: by the environment
   * (`PGHOST`, ...). The adapter's `connectionTimeoutMillis` and `query_timeout` hold where it has none.
   */
  connection?: string | PoolConfig
  /**
   * A pool of yours in place of `connection`. It is not closed. A worker opens one connection more, with the same
   * options.
   */
  pool?: Pool
  /**
   * Where pg-boss keeps its tables; made if it is missing. In lower case, unless it is in double quotes. Default
   * `pgboss`.
   */
  schema?: string
  /**
   * ms after which the job of a worker that gives no sign of life goes to another, from 1,000, in whole seconds.
   * Default 10,000.
   */
  lease?: number
  /** How many workers in a row may die of a job, from 1, before it ends as failed. Default 10. */
  maxStalled?: number
  retention?: RetentionOptions
  /** For `new PgBoss()`. They win over what the adapter sets, except for `db` and `schema`. */
  bossOptions?: Omit<ConstructorOptions, 'db' | 'schema'>
  /** For every queue. Applied to queues that exist, too, `policy` and `partition` excepted. */
  queueOptions?: Omit<Queue, 'name'>
  /** For `boss.fetch()`, such as `groupConcurrency` (a job's group is its task), and how often it is called. */
  workOptions?: PgBossWorkOptions
}

export interface PgBossWorkOptions extends Omit<FetchOptions, 'batchSize' | 'includeMetadata' | 'db'> {
  /**
   * How often to look for jobs nobody was notified of: delayed ones, and those stored while the connection was lost.
   * From 0.05. Default 0.5.
   */
  pollingIntervalSeconds?: number
  /** Jobs fetched with one statement at the most, from 1. Default 100. */
  batchSize?: number
}

export interface ResolvedOptions extends PgBossOptions {
  readonly schema: string
  readonly lease: number
  readonly maxStalled: number
  readonly retention: Required<RetentionOptions>
  readonly workOptions: PgBossWorkOptions
}

const passedThrough = Type.Optional(Type.Object({}))

const checker: Checker = TypeCompiler.Compile(Type.Object({
  connection: Type.Optional(Type.Union([Type.String({ minLength: 1 }), Type.Object({})], {
    expected: 'Expected a URL or the options of a pg.Pool'
  })),
  pool: Type.Optional(Type.Object({ connect: Type.Function([], Type.Unknown()), options: Type.Object({}) }, {
    expected: 'Expected a pg.Pool'
  })),
  schema: Type.Optional(Type.String({ minLength: 1 })),
  lease: Type.Optional(Type.Number({ minimum: 1_000, maximum: 86_400_000 })),
  maxStalled: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000 })),
  retention: Type.Optional(retentionSchema),
  bossOptions: passedThrough,
  queueOptions: passedThrough,
  workOptions: Type.Optional(Type.Object({
    pollingIntervalSeconds: Type.Optional(Type.Number({ minimum: 0.05, maximum: 3_600 })),
    batchSize: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000 }))
  }))
}, { additionalProperties: false }))

/** @throws FST_ERR_BGT_INVALID_OPTIONS */
export function resolveOptions (given: PgBossOptions): ResolvedOptions {
  check(checker, 'options', given)
  if (given.pool !== undefined && given.connection !== undefined) {
    throw new FST_ERR_BGT_INVALID_OPTIONS('options/pool', 'Expected either "pool" or "connection", got both')
  }
  const { schema = 'pgboss', lease = 10_000, maxStalled = 10, retention, workOptions = {} } = given
  return {
    ...given,
    schema: quoted(schema),
    lease,
    maxStalled,
    workOptions,
    retention: { ...retentionDefaults, ...retention }
  }
}

/** Words such as "order" are names in quotes only. What is no name as it is, pg-boss refuses. */
function quoted (schema: string): string {
  return /^[a-z_]\w*$/i.test(schema) ? `"${schema.toLowerCase()}"` : schema
}

/** Whole seconds, never 0, which to pg-boss means for ever. */
export function seconds (ms: number): number {
  return Math.max(1, Math.ceil(ms / 1_000))
}
