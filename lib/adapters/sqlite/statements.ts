/** More rows at once would block the event loop for too long. */
export const BATCH = 500

export const INSERT: string = `
  insert into background_tasks_jobs (id, queue, task, data, priority, state, due, enqueued_at)
  values (?, ?, ?, ?, ?, ?, ?, ?)
  on conflict (id) do nothing`

export const FIND: string = `
  select queue, task, state, due, attempts, progress, result, error, enqueued_at, started_at, ended_at,
    case when json_valid(data) then data ->> '$.owner' end as owner
  from background_tasks_jobs where id = ?`

export const CANCEL: string = `
  update background_tasks_jobs set state = 'cancelled', error = null, ended_at = ?
  where id = ? and state in ('pending', 'scheduled', 'retrying')`

export const ASK_TO_CANCEL: string =
  "update background_tasks_jobs set cancelling = 1 where id = ? and state = 'running'"

export const CLAIM: string = `
  update background_tasks_jobs
  set state = 'running', lease = ?, started_at = ?, deliveries = deliveries + 1, attempts = attempts + (stalls < ?)
  where sequence in (
    select sequence from background_tasks_jobs where queue = ? and state = 'pending'
    order by priority desc, due, sequence limit ?
  )
  returning sequence, deliveries, id, task, data, attempts, stalls, priority, due`

export const AWAKE: string = `
  update background_tasks_jobs
  set state = iif(cancelling, 'cancelled', 'pending'), ended_at = iif(cancelling, ?, null)
  where sequence in (
    select sequence from background_tasks_jobs where state in ('scheduled', 'retrying') and due <= ?
    order by due limit ${BATCH}
  )`

/** Late by this clock, or so far ahead of it that one of the two has been set. */
export const SUSPECTS: string = `
  select sequence, deliveries, lease from background_tasks_jobs where state = 'running' and lease <= ?
  union all
  select sequence, deliveries, lease from background_tasks_jobs where state = 'running' and lease > ?
  limit ${BATCH}`

/** Of these queues, and not among these names. */
const READABLE = 'queue in (select value from json_each(?)) and name not in (select value from json_each(?))'

export const PEEK: string = `
  select
    (select min(due) from background_tasks_jobs where state in ('scheduled', 'retrying')) as due,
    (select min(lease) from background_tasks_jobs where state = 'running') as firstLease,
    (select max(lease) from background_tasks_jobs where state = 'running') as lastLease,
    (select min(due) from background_tasks_schedules where ${READABLE}) as schedule`

export const HAS_PENDING: string = "select 1 from background_tasks_jobs where queue = ? and state = 'pending' limit 1"

/** Of a job that this worker still holds: the number of its delivery tells. */
const HELD = "where sequence = ? and deliveries = ? and state = 'running'"

export const RECORD: string = `
  update background_tasks_jobs
  set state = ?, due = ?, result = ?, error = ?, ended_at = ?, attempts = attempts - ?,
    stalls = 0, lease = null
  ${HELD}`

export const RENEW: string = `
  update background_tasks_jobs set lease = ? from json_each(?) as held
  where sequence = held.value ->> 0 and deliveries = held.value ->> 1 and state = 'running'`

export const REVOKED: string = `
  select held.key as place, job.cancelling
  from json_each(?) as held left join background_tasks_jobs as job
    on job.sequence = held.value ->> 0 and job.deliveries = held.value ->> 1 and job.state = 'running'
  where job.sequence is null or job.cancelling`

/** To the next worker, unless it was to be cancelled. */
const GIVE_BACK = "state = iif(cancelling, 'cancelled', 'pending'), ended_at = iif(cancelling, ?, null), lease = null"

export const EXPIRE: string = `update background_tasks_jobs set ${GIVE_BACK}, stalls = stalls + 1 ${HELD}`

export const RELEASE: string = `update background_tasks_jobs set ${GIVE_BACK} ${HELD}`

export const PROGRESS: string = `update background_tasks_jobs set progress = ? ${HELD}`

export const DELETE: string = `
  delete from background_tasks_jobs where sequence in (
    select sequence from background_tasks_jobs where state = ? and ended_at <= ? order by ended_at limit ?
  )`

/** A schedule that is as it was keeps its time, which may be past: it was missed while nobody worked. */
export const PUT_SCHEDULE: string = `
  insert into background_tasks_schedules (name, cron, timezone, queue, task, data, priority, due)
  values (?, ?, ?, ?, ?, ?, ?, ?)
  on conflict (name) do update set
    due = iif(cron = excluded.cron and timezone = excluded.timezone, due, excluded.due),
    cron = excluded.cron, timezone = excluded.timezone, queue = excluded.queue, task = excluded.task,
    data = excluded.data, priority = excluded.priority`

export const REMOVE_SCHEDULE: string = 'delete from background_tasks_schedules where name = ?'

export const DUE_SCHEDULES: string = `
  select name, cron, timezone, queue, task, data, priority, due
  from background_tasks_schedules where due <= ? and ${READABLE} limit 100`

export const SET_DUE: string = 'update background_tasks_schedules set due = ? where name = ?'

/** Changes nothing, but has to be written. */
export const TOUCH: string = 'update background_tasks_schema set version = version'
