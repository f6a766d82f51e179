import type { QueueAdapter } from '../../../types/index.ts'
import { SqliteAdapter } from './adapter.ts'
import type { SqliteLike } from './driver.ts'
import { resolveOptions, type SqliteOptions } from './options.ts'

export type { RetentionOptions } from '../kit/retention.ts'
export type { SqliteLike, SqliteStatement, SqliteValue } from './driver.ts'
export type { SqliteOptions }

/**
 * A durable queue in an SQLite file, for the processes of one host.
 *
 * @throws FST_ERR_BGT_INVALID_OPTIONS
 */
export function sqlite (options: SqliteOptions): QueueAdapter<SqliteLike | undefined> {
  return new SqliteAdapter(resolveOptions(options))
}
