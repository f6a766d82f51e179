import type { Db } from 'pg-boss'
import type { RowOutput } from './job-row.ts'

/**
 * Statements on pg-boss's job table, for which it has no calls; read in pg-boss 12.33 to 12.38 (schemas 42 to 46).
 * Each changes a job only in the state, and for a worker only in the attempt, that it expects: a worker
 * that has lost its job changes nothing. pg-boss counts an attempt (`retry_count`) when it fetches a job
 * whose `started_on` is set, and gives a job up that stalls once `retry_count` has reached `retry_limit`.
 *
 * `group_tier` is free: no job of ours has one. There the wish to cancel a job that runs is kept, which `output`
 * would lose when pg-boss itself finds its worker dead. `created_on` is what jobs are fetched by, and so is when they
 * are due.
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
  /**
   * `$1` queue, `$2` ids, `$3` JSON of an object with the attempt for each id. Returns `id` and `isCancelled` of each
   * job that is still this worker's.
   */
  readonly renew: string
  /** `$1` queue, `$2` id, `$3` attempt, `$4` JSON. */
  readonly progress: string
  /**
   * `$1` queue, `$2` id, `$3` JSON of the output, `$4` channel. Cancels a job that waits; keeps the wish with one that
   * is active, and notifies the channel. Returns the `state`, of a job that has not ended.
   */
  readonly cancel: string
  /** `$1` queue, `$2` ids. Their order becomes that of when they are due. */
  readonly order: string
  /** `$1` queue, `$2` ids. Returns those that are stored. */
  readonly stored: string
}

export interface Settlement {
  readonly id: string
  readonly retry_count: number
  readonly state: 'active' | 'completed' | 'failed' | 'cancelled' | 'retry' | 'created'
  /** Added to the output. */
  readonly result: RowOutput
  /** ms until it may be fetched again; null where it has ended. */
  readonly delay: number | null
  /** Whether the attempt counts. */
  readonly counted: boolean
  readonly retry_limit: number
  readonly deletion_seconds: number
}

const WISH = "'cancel'"

/** Of an output that another program has stored, only an object can be added to. */
const output = "CASE WHEN jsonb_typeof(output) = 'object' THEN output ELSE '{}' END"

/** @param table of the queue's jobs; PostgreSQL plans longer for `job`, of which it is a partition. */
export function statements (schema: string, table: string): Statements {
  const job = `${schema}.${table}`
  const state = `${schema}.job_state`
  const due = `CASE
    WHEN v.delay IS NULL THEN start_after
    WHEN v.counted AND group_tier = ${WISH} THEN now()
    ELSE now() + v.delay * interval '1 millisecond' END`
  return {
    // Each settlement is looked up by the id of the row: a join compares every job with every settlement
    // while there are no statistics.
    settle: `
      UPDATE ${job} j SET (
        state, output, start_after, created_on, group_tier, started_on, completed_on, retry_limit, deletion_seconds
      ) = (
        SELECT
          v.state::${state},
          CASE WHEN v.state = 'completed' THEN (${output}) - 'error' ELSE ${output} END || v.result,
          ${due},
          CASE WHEN v.delay > 0 THEN ${due} ELSE created_on END,
          CASE WHEN v.delay IS NOT NULL THEN group_tier END,
          CASE WHEN v.counted THEN started_on END,
          CASE WHEN v.state IN ('completed', 'failed', 'cancelled') THEN now() END,
          v.retry_limit,
          v.deletion_seconds
        FROM jsonb_to_record($3::text::jsonb -> j.id::text) AS v(
          state text, result jsonb, delay float8, counted boolean, retry_limit int, deletion_seconds int))
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
        group_tier = CASE WHEN retry_count < retry_limit THEN group_tier END,
        output = CASE WHEN retry_count < retry_limit THEN output ELSE (${output}) || '{"stalled":true}' END
      WHERE j.name = $1 AND j.id = ANY(ARRAY(SELECT id FROM dead))
      RETURNING j.id, j.group_id AS task, j.state`,

    renew: `
      UPDATE ${job} j SET heartbeat_on = now()
      WHERE j.name = $1 AND j.id = ANY($2::uuid[]) AND j.state = 'active'
        AND j.retry_count = ($3::text::jsonb -> j.id::text)::int
      RETURNING j.id, j.group_tier = ${WISH} AS "isCancelled"`,

    progress: `
      UPDATE ${job} SET output = (${output}) || $4::text::jsonb
      WHERE name = $1 AND id = $2 AND retry_count = $3 AND state = 'active'`,

    // boss.cancel() would also end a job that is running, and what came of it would be lost.
    cancel: `
      WITH asked AS (
        UPDATE ${job} SET
          state = CASE WHEN state = 'active' THEN state ELSE 'cancelled' END,
          output = CASE WHEN state = 'active' THEN output ELSE (${output}) || $3::text::jsonb END,
          group_tier = CASE WHEN state = 'active' THEN ${WISH} END,
          completed_on = CASE WHEN state < 'active' THEN now() END
        WHERE name = $1 AND id = $2 AND state <= 'active'
        RETURNING id, state),
      rung AS (SELECT pg_notify($4, id::text) FROM asked WHERE state = 'active')
      SELECT state, (SELECT count(*) FROM rung) FROM asked`,

    order: `
      UPDATE ${job} SET created_on = start_after
      WHERE name = $1 AND id = ANY($2::uuid[]) AND state = 'created' AND created_on < start_after`,

    stored: `SELECT id FROM ${job} WHERE name = $1 AND id = ANY($2::uuid[])`
  }
}

/** A job as `status` reads it. Times are ms since 1970, by the clock of the server. */
export interface FoundRow {
  readonly id: string
  readonly name: string
  readonly data: unknown
  readonly state: 'created' | 'retry' | 'active' | 'completed' | 'cancelled' | 'failed'
  readonly attempts: number
  readonly output: unknown
  readonly isDue: boolean
  readonly storedAt: number
  /** Of a job whose last delivery did not count, there is none. */
  readonly startedAt: number | null
  readonly endedAt: number | null
}

/** One statement for all queues: `$1` their names, `$2` id. */
export function find (schema: string): string {
  return `
    SELECT id, name, data, state, output, start_after <= now() AS "isDue",
      CASE WHEN started_on IS NULL THEN retry_count ELSE retry_count + 1 END AS attempts,
      ${ms(storedOn('singleton_on', 'created_on'))} AS "storedAt",
      ${ms('started_on')} AS "startedAt", ${ms('completed_on')} AS "endedAt"
    FROM ${schema}.job WHERE name = ANY($1::text[]) AND id = $2::uuid`
}

/** A job as a worker takes it. */
export interface FetchedRow {
  readonly id: string
  readonly data: unknown
  readonly retryCount: number
  /** ms since 1970 */
  readonly storedAt: number
  /** Whether somebody wished so while another worker had it; null is no. */
  readonly isCancelled: boolean | null
}

/**
 * For a fetch with metadata: pg-boss takes jobs in order, and returns them in none. Sorted by the server,
 * which has microseconds, and then keeps the metadata to itself.
 */
export function inOrder (db: Db): Db {
  return {
    executeSql: (fetch, values) => {
      // Where pg-boss traces its jobs, it looks for what it has asked for.
      const trace = fetch.includes('"__traceContext"') ? ', "__traceContext"' : ''
      const storedAt = ms(storedOn('"singletonOn"', '"createdOn"'))
      return db.executeSql(`
        WITH fetched AS (${fetch})
        SELECT id, data, "retryCount", ${storedAt} AS "storedAt", "groupTier" = ${WISH} AS "isCancelled"${trace}
        FROM fetched
        ORDER BY priority DESC, "createdOn", "startAfter"`, values)
    }
  }
}

/** Of a schedule's job, the minute that it is for, which has no time zone. Its `created_on` changes when it waits. */
function storedOn (slot: string, created: string): string {
  return `coalesce(${slot} AT TIME ZONE 'UTC', ${created})`
}

function ms (time: string): string {
  return `floor(extract(epoch FROM ${time}) * 1000)::float8`
}
