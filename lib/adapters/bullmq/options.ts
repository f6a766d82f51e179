import { Type } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import type { QueueOptions, WorkerOptions } from 'bullmq'
import type { RedisOptions } from 'ioredis'
import { check, type Checker, MAX_TIMER } from '../../check.ts'
import { FST_ERR_BGT_INVALID_OPTIONS } from '../../errors.ts'
import { retentionDefaults, retentionSchema, type RetentionOptions } from '../kit/retention.ts'

export interface BullmqOptions {
  /**
   * A URL (`redis://`, `rediss://`, or the path of a socket), or options of ioredis, also with its `sentinels`. Its
   * own connections are made from them. A Redis Cluster is refused.
   */
  connection: string | RedisOptions
  /** The beginning of all keys. Default `bull`, which is BullMQ's own. */
  prefix?: string
  /**
   * ms from 100 on. The job of a worker that has died is delivered again after this time and a quarter of it.
   * Default 10,000.
   */
  lease?: number
  /** How often a job may lose its worker, 1 or more, before it ends as failed. Default 10. */
  maxStalled?: number
  retention?: RetentionOptions
  /** ms from 1 on, to make a connection. Default 2,000. */
  connectTimeout?: number
  /**
   * ms from 1 on, until a command that was not answered fails. The jobs it was to store may then be stored or not.
   * Default 1,000.
   */
  commandTimeout?: number
  /** For each `Queue` of BullMQ. The options that this adapter sets, such as `connection`, are not taken from here. */
  queueOptions?: Partial<QueueOptions>
  /**
   * For each `Worker` of BullMQ, likewise. These options win over `lease`, `maxStalled` and `retention`. Locks are
   * renewed each quarter of `lockDuration`, whatever `lockRenewTime` says.
   */
  workerOptions?: Partial<WorkerOptions>
}

export type ResolvedOptions = Required<Omit<BullmqOptions, 'retention'>> & { retention: Required<RetentionOptions> }

function atLeast (minimum: number): ReturnType<typeof Type.Optional> {
  return Type.Optional(Type.Number({ minimum, maximum: MAX_TIMER }))
}

const checker: Checker = TypeCompiler.Compile(Type.Object({
  connection: Type.Union([Type.String({ minLength: 1 }), Type.Object({})], {
    expected: 'Expected a URL, or options of ioredis'
  }),
  prefix: Type.Optional(Type.String({ minLength: 1 })),
  lease: atLeast(100),
  maxStalled: Type.Optional(Type.Integer({ minimum: 1 })),
  retention: Type.Optional(retentionSchema),
  connectTimeout: atLeast(1),
  commandTimeout: atLeast(1),
  queueOptions: Type.Optional(Type.Object({})),
  workerOptions: Type.Optional(Type.Object({}))
}, { additionalProperties: false }))

/** @throws FST_ERR_BGT_INVALID_OPTIONS */
export function resolveOptions (given: BullmqOptions): ResolvedOptions {
  check(checker, 'bullmq', given)
  const { connection, retention, ...options } = given
  if (typeof connection === 'object' && connection.keyPrefix !== undefined) {
    const problem = 'Expected none, as BullMQ does not work with it: use "prefix"'
    throw new FST_ERR_BGT_INVALID_OPTIONS('bullmq/connection/keyPrefix', problem)
  }
  return {
    prefix: 'bull',
    lease: 10_000,
    maxStalled: 10,
    connectTimeout: 2_000,
    commandTimeout: 1_000,
    queueOptions: {},
    workerOptions: {},
    ...options,
    connection,
    retention: { ...retentionDefaults, ...retention }
  }
}
