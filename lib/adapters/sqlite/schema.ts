import { FST_ERR_BGT_NEWER_SCHEMA } from '../../errors.ts'
import type { Connection } from './connection.ts'

/**
 * Each brings the tables to the next version. None is ever changed once it was released.
 *
 * `due` is when a job may run, `lease` when a running one is given to another worker. The partial indexes
 * keep the jobs that have ended, and those that wait, out of the way of a claim.
 */
const MIGRATIONS: readonly string[] = [`
  create table background_tasks_jobs (
    sequence integer primary key,
    id text not null unique,
    queue text not null,
    task text not null,
    data text not null,
    priority integer not null,
    state text not null,
    due integer not null,
    attempts integer not null default 0,
    deliveries integer not null default 0,
    stalls integer not null default 0,
    cancelling integer not null default 0,
    lease integer,
    progress text,
    result text,
    error text,
    enqueued_at integer not null,
    started_at integer,
    ended_at integer
  ) strict;
  create index background_tasks_pending on background_tasks_jobs (queue, priority desc, due) where state = 'pending';
  create index background_tasks_waiting on background_tasks_jobs (due) where state in ('scheduled', 'retrying');
  create index background_tasks_running on background_tasks_jobs (lease) where state = 'running';
  create index background_tasks_ended on background_tasks_jobs (state, ended_at) where ended_at is not null;
  create table background_tasks_schedules (
    name text primary key,
    cron text not null,
    timezone text not null,
    queue text not null,
    task text not null,
    data text not null,
    priority integer not null,
    due integer
  ) strict;
`]

/** @throws FST_ERR_BGT_NEWER_SCHEMA */
export async function migrate (connection: Connection, migrations: readonly string[] = MIGRATIONS): Promise<void> {
  if (versionOf(connection) === migrations.length) return
  await connection.write(() => {
    connection.run('create table if not exists background_tasks_schema (version integer not null) strict')
    // Another process may have been here since.
    const version = versionOf(connection)
    if (version > migrations.length) return
    for (const migration of migrations.slice(version)) connection.database.exec(migration)
    connection.run('delete from background_tasks_schema')
    connection.run('insert into background_tasks_schema values (?)', migrations.length)
  })
  const version = versionOf(connection)
  if (version > migrations.length) throw new FST_ERR_BGT_NEWER_SCHEMA('sqlite', version, migrations.length)
}

function versionOf (connection: Connection): number {
  const [table] = connection.all("select 1 from sqlite_schema where name = 'background_tasks_schema'")
  if (table === undefined) return 0
  const [row] = connection.all<{ version: number }>('select version from background_tasks_schema')
  return Number(row?.version ?? 0)
}
