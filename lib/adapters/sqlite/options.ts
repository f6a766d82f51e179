import { Type } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import { check, type Checker } from '../../check.ts'
import { FST_ERR_BGT_INVALID_OPTIONS } from '../../errors.ts'
import { retentionDefaults, retentionSchema, type RetentionOptions } from '../kit/retention.ts'
import type { SqliteLike } from './driver.ts'

export interface SqliteOptions {
  /**
   * Path of the database, made where it is missing. Opened by node:sqlite (Node 22.13), else libsql, else
   * better-sqlite3.
   */
  file?: string
  /**
   * In place of `file`: an opened database of one of these three, such as the application's own. It is used
   * with `synchronous = FULL` and without waiting for locks, and is left as it was; only WAL mode stays.
   */
  database?: SqliteLike
  /** ms, 10 to 60,000, until jobs that other processes have stored are seen. Default 500. */
  pollInterval?: number
  /**
   * ms, 100 to 3,600,000, after which the jobs of a worker that died, or stood still, are given to another.
   * Default 10,000.
   */
  lease?: number
  /** How many workers in a row may die of a job before it ends as failed, 1 or more. Default 10. */
  maxStalled?: number
  /**
   * ms, 0 to 60,000, that a call waits at the most for others to finish writing. The event loop goes on
   * meanwhile. Default 5,000.
   */
  busyTimeout?: number
  retention?: RetentionOptions
}

export interface ResolvedOptions {
  readonly file: string | undefined
  readonly database: SqliteLike | undefined
  readonly pollInterval: number
  readonly lease: number
  readonly maxStalled: number
  readonly busyTimeout: number
  readonly retention: Required<RetentionOptions>
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

/** @throws FST_ERR_BGT_INVALID_OPTIONS */
export function resolveOptions (given: SqliteOptions): ResolvedOptions {
  check(checker, 'options', given)
  const { file, database, pollInterval = 500, lease = 10_000, maxStalled = 10, busyTimeout = 5_000, retention } = given
  if ((file === undefined) === (database === undefined)) {
    const got = file === undefined ? 'neither' : 'both'
    throw new FST_ERR_BGT_INVALID_OPTIONS('options', `Expected either "file" or "database", got ${got}`)
  }
  return {
    file,
    database,
    pollInterval,
    lease,
    maxStalled,
    busyTimeout,
    retention: { ...retentionDefaults, ...retention }
  }
}
