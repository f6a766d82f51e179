import type { Db } from 'pg-boss'
import type { RowOutput } from './job-row.ts'

/**
 * Statements on pg-boss's job table, for which it has no calls; read in pg-boss 12.35 (schema 43).
 * Each changes a job only in the state, and for a worker only in the attempt, that it expects: a worker
 * that has lost its job changes nothing. pg-boss counts an attempt (`retry_count`) when it fetches a job
 * whose `started_on` is set, and gives a job up that stalls once `retry_count` has reached `retry_limit`.
 *
 * Ids come as an array, also where a join says the same, so that PostgreSQL looks them up by primary key
 * (`name`, `id`) even while it has no statistics.
 */
export interface Statements {
  /** `$1` queue, `$2` ids, `$3` JSON of an object with a `Settlement` for each id. */
  readonly settle: string
  /**
   * `$1` queue, `$2` seconds to keep a job that is given up. Returns `id`, `task` and `state` of each job taken from
   * a dead worker.
   */
  readonly rescue: string
  /** `$1` queue, `$2` id, `$3` attempt, `$4` JSON. */
  readonly progress: string
  /** `$1` queue, `$2` id, `$3` JSON of the output. Returns the `id` if it was cancelled. */
  readonly cancel: string
  /** `$1` queue, `$2` ids. Returns those that are stored. */
  readonly stored: string
}

export interface Settlement {
  readonly id: string
  readonly retry_count: number
  readonly state: 'active' | 'completed' | 'failed' | 'cancelled' | 'retry' | 'created'
  readonly output: RowOutput
  /** ms until it may be fetched again; null where it has ended. */
  readonly delay: number | null
  /** Whether the attempt counts. */
  readonly counted: boolean
  readonly retry_limit: number
  readonly deletion_seconds: number
}

/** @param table of the queue's jobs; PostgreSQL plans longer for `job`, of which it is a partition. */
export function statements (schema: string, table: string): Statements {
  const job = `${schema}.${table}`
  const state = `${schema}.job_state`
  return {
    // Each settlement is looked up by the id of the row: a join compares every job with every settlement
    // while there are no statistics.
    settle: `
      UPDATE ${job} j SET (state, output, start_after, started_on, completed_on, retry_limit, deletion_seconds) = (
        SELECT
          v.state::${state},
          CASE WHEN v.state = 'completed' AND j.output -> 'error' IS NOT NULL THEN j.output - 'error'
            ELSE coalesce(j.output, '{}') END || v.output,
          CASE WHEN v.delay IS NULL THEN j.start_after ELSE now() + v.delay * interval '1 millisecond' END,
          CASE WHEN v.counted THEN j.started_on END,
          CASE WHEN v.state IN ('completed', 'failed', 'cancelled') THEN now() END,
          v.retry_limit,
          v.deletion_seconds
        FROM jsonb_to_record($3::text::jsonb -> j.id::text) AS v(
          state text, output jsonb, delay float8, counted boolean, retry_limit int, deletion_seconds int))
      WHERE j.name = $1 AND j.id = ANY($2::uuid[]) AND j.state = 'active'
        AND j.retry_count = ($3::text::jsonb -> j.id::text -> 'retry_count')::int`,

    // The group is what makes this cheap beside millions of jobs that have ended: pg-boss has an index of
    // the active jobs that have one. A job with a dead letter queue is given up by pg-boss itself.
    rescue: `
      WITH dead AS (
        SELECT id FROM ${job}
        WHERE name = $1 AND state = 'active' AND group_id IS NOT NULL
          AND heartbeat_on + heartbeat_seconds * interval '1 second' < now()
          AND (retry_count < retry_limit OR dead_letter IS NULL)
        FOR UPDATE SKIP LOCKED)
      UPDATE ${job} j SET
        state = (CASE WHEN retry_count < retry_limit THEN 'retry' ELSE 'failed' END)::${state},
        completed_on = CASE WHEN retry_count < retry_limit THEN NULL ELSE now() END,
        deletion_seconds = $2,
        output = CASE WHEN retry_count < retry_limit THEN output ELSE coalesce(output, '{}') || '{"stalled":true}' END
      WHERE j.name = $1 AND j.id = ANY(ARRAY(SELECT id FROM dead))
      RETURNING j.id, j.group_id AS task, j.state`,

    progress: `
      UPDATE ${job} SET output = coalesce(output, '{}') || $4::text::jsonb
      WHERE name = $1 AND id = $2 AND retry_count = $3 AND state = 'active'`,

    // boss.cancel() would also end a job that is running, and what came of it would be lost.
    cancel: `
      UPDATE ${job} SET state = 'cancelled', completed_on = now(), output = coalesce(output, '{}') || $3::text::jsonb
      WHERE name = $1 AND id = $2 AND state < 'active'
      RETURNING id`,

    stored: `SELECT id FROM ${job} WHERE name = $1 AND id = ANY($2::uuid[])`
  }
}

/**
 * For a fetch with metadata: pg-boss takes jobs in order, and returns them in none. Sorted by the server,
 * which has microseconds, and then keeps the metadata to itself.
 */
export function inOrder (db: Db): Db {
  return {
    executeSql: (fetch, values) => db.executeSql(`
      WITH fetched AS (${fetch})
      SELECT id, data, "retryCount" FROM fetched
      ORDER BY priority DESC, greatest("startAfter", "createdOn"), "createdOn", "startAfter"`, values)
  }
}
