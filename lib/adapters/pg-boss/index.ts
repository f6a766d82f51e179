import type { PgBoss } from 'pg-boss'
import type { QueueAdapter } from '../../../types/index.ts'
import { PgBossAdapter } from './adapter.ts'
import { type PgBossOptions, resolveOptions } from './options.ts'

export type { RetentionOptions } from '../kit/retention.ts'
export type { PgBossWorkOptions } from './options.ts'
export type { PgBossOptions }

/**
 * Jobs in PostgreSQL, by pg-boss 12: `npm install pg-boss`. `enqueue` takes as `tx` a client of `pg` within
 * a transaction, or an object with pg-boss's `executeSql`; the job then exists if that transaction commits.
 *
 * @throws FST_ERR_BGT_INVALID_OPTIONS
 */
export function pgBoss (options: PgBossOptions = {}): QueueAdapter<PgBoss> {
  return new PgBossAdapter(resolveOptions(options))
}
