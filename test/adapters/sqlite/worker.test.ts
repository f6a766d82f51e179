import t from 'tap'
import type { ActiveJob, JobVerdict } from '../../../types/index.ts'
import { latch } from '../../helpers/latch.ts'
import { completed, makeJob, makeJobs } from '../../helpers/job.ts'
import { aborted, complete, Stage, until, untilState } from '../../helpers/sqlite.ts'
import { turns } from '../../helpers/timers.ts'

const retrying: JobVerdict = { state: 'retrying', error: new Error('not yet'), delay: 0 }

/** Runs that the test ends. */
class Runs {
  readonly all: { job: ActiveJob, end: (verdict: JobVerdict) => void }[] = []

  readonly run = async (job: ActiveJob): Promise<JobVerdict> => {
    const { opened, open } = latch<JobVerdict>()
    this.all.push({ job, end: open })
    return opened
  }

  async number (count: number): Promise<Runs['all'][number]> {
    return until(() => this.all[count - 1])
  }
}

/** What another process does with the jobs of a worker that it takes for dead. */
function endLeases (stage: Stage): void {
  stage.connect().exec(`update background_tasks_jobs
    set state = iif(cancelling, 'cancelled', 'pending'), ended_at = iif(cancelling, 1, null), lease = null, stalls = stalls + 1
    where state = 'running'`)
}

await t.test('a worker that has lost a job is told, and cannot end it', async t => {
  const stage = new Stage(t)
  const adapter = await stage.start()
  const runs = new Runs()
  await adapter.work('mail', runs.run, { concurrency: 2 })
  const { id } = makeJob()
  await adapter.enqueue([makeJob({ id })])
  const first = await runs.number(1)
  endLeases(stage)
  const second = await runs.number(2)
  t.match([first, second].map(({ job }) => ({ id: job.id, attempt: job.attempt })), [{ id, attempt: 1 }, { id, attempt: 2 }])
  t.match(await aborted(first.job), { code: 'FST_ERR_BGT_QUEUE_UNAVAILABLE', message: new RegExp(`this worker has lost the job ${id}, which goes to another`) })
  t.equal(second.job.signal.aborted, false)

  first.end({ state: 'failed', error: new Error('of the run that lost its job') })
  t.match(await stage.line(/outcome of a job that this worker has lost is dropped/), { level: 40, taskId: id, task: 'welcome' })
  t.equal((await adapter.status!(id))?.state, 'running')
  second.end({ state: 'completed', result: 'of the run that has it' })
  t.match(await untilState(adapter, id, 'completed'), { result: 'of the run that has it', attempts: 2 })
})

await t.test('a job that no worker survives ends as failed', async t => {
  const stage = new Stage(t)
  const adapter = await stage.start({ maxStalled: 2 })
  const runs = new Runs()
  await adapter.work('mail', runs.run, { concurrency: 4 })
  const { id } = makeJob()
  await adapter.enqueue([makeJob({ id })])
  await runs.number(1)
  endLeases(stage)
  const survived = await runs.number(2)
  survived.end(retrying)
  await runs.number(3)
  endLeases(stage)
  await runs.number(4)
  endLeases(stage)
  t.match(await untilState(adapter, id, 'failed'), {
    attempts: 4,
    error: { code: 'FST_ERR_BGT_STALLED', message: 'Task "welcome" was given up: 2 workers in a row died, or lost the job, while they ran it' }
  })
  t.equal(runs.all.length, 4, 'a worker that ended it in between made them start anew')
  t.match(await stage.line(/^background task failed$/), { level: 50, task: 'welcome', taskId: id, adapter: 'sqlite' })
})

await t.test('cancelling a job that another process runs', async t => {
  const stage = new Stage(t)
  const [worker, other] = [await stage.start(), await stage.start()]
  const runs = new Runs()
  await worker.work('mail', runs.run, { concurrency: 3 })
  const [ends, retries, dies] = makeJobs(3)
  await worker.enqueue([ends!, retries!, dies!])
  await runs.number(3)
  for (const { id } of [ends!, retries!, dies!]) t.equal(await other.cancel!(id), 'running')
  for (const run of runs.all) t.match(await aborted(run.job), { code: 'FST_ERR_BGT_CANCELLED' })

  runs.all[0]!.end(completed)
  await untilState(worker, ends!.id, 'completed')
  t.equal(await other.cancel!(ends!.id), 'finished')
  runs.all[1]!.end(retrying)
  t.type((await untilState(worker, retries!.id, 'cancelled')).endedAt, 'number', 'it is not tried again')
  endLeases(stage)
  const { endedAt, error } = await untilState(worker, dies!.id, 'cancelled')
  t.type(endedAt, 'number', 'nor when its worker dies')
  t.match(error, { code: 'FST_ERR_BGT_CANCELLED' })
  t.equal(runs.all.length, 3)
  t.equal(await other.cancel!(makeJob().id), 'not-found')
})

await t.test('what cannot be written is written later', async t => {
  const stage = new Stage(t)
  const adapter = await stage.start()
  const runs = new Runs()
  await adapter.work('mail', runs.run, { concurrency: 2 })
  const [first, second] = makeJobs(2)
  await adapter.enqueue([first!])
  const run = await runs.number(1)
  const other = stage.connect()

  await t.test('because another process writes: nothing to log', async t => {
    other.exec('begin immediate')
    run.end(completed)
    await turns(10)
    t.equal((await adapter.status!(first!.id))?.state, 'running')
    other.exec('commit')
    await untilState(adapter, first!.id, 'completed')
    t.same(stage.lines, [])
  })

  await t.test('because of an error: logged once', async t => {
    other.exec("create trigger broken before update on background_tasks_jobs begin select raise(abort, 'the disk is broken'); end")
    await adapter.enqueue([second!])
    t.match(await stage.line(/no job can be taken and no outcome recorded/), { level: 50, err: { message: 'the disk is broken' } })
    for (const another of makeJobs(5)) {
      await adapter.enqueue([another])
      await turns()
    }
    t.equal(stage.lines.length, 1)
    other.exec('drop trigger broken')
    const again = await runs.number(2)
    t.equal(again.job.attempt, 1)
    again.end(completed)
    await untilState(adapter, second!.id, 'completed')
  })
})

await t.test('close does not wait for ever to record an outcome', async t => {
  const stage = new Stage(t)
  const adapter = await stage.start({ lease: 100 })
  const runs = new Runs()
  const consumer = await adapter.work('mail', runs.run, { concurrency: 1 })
  await adapter.enqueue([makeJob()])
  const run = await runs.number(1)
  stage.connect().exec("create trigger broken before update on background_tasks_jobs begin select raise(abort, 'the disk is broken'); end")
  run.end(completed)
  await consumer.close()
  t.match(stage.lines, [{ err: { message: 'the disk is broken' } }])
})

await t.test('what has not ended within the grace', async t => {
  await t.test('is given back, with the outcomes that were still to be recorded', async t => {
    const stage = new Stage(t)
    const adapter = await stage.start()
    const runs = new Runs()
    const consumer = await adapter.work('mail', runs.run, { concurrency: 2 })
    const [ended, left] = makeJobs(2)
    await adapter.enqueue([ended!, left!])
    await runs.number(2)
    const other = stage.connect()
    other.exec('begin immediate')
    runs.all[0]!.end(completed)
    const closing = consumer.close({ grace: 0 })
    t.match(await aborted(runs.all[1]!.job), { message: /has closed, and the job goes to another/ })
    other.exec('commit')
    await closing
    t.match(await adapter.status!(ended!.id), { state: 'completed' })
    t.match(await adapter.status!(left!.id), { state: 'pending' })
    runs.all[1]!.end(completed)
    await consumer.close()
  })

  await t.test('runs again when its lease ends, where that cannot be written', async t => {
    const stage = new Stage(t)
    const adapter = await stage.start({ busyTimeout: 0 })
    const runs = new Runs()
    const consumer = await adapter.work('mail', runs.run, { concurrency: 1 })
    await adapter.enqueue([makeJob()])
    await runs.number(1)
    stage.connect().exec('begin immediate')
    await consumer.close({ grace: 0 })
    t.match(stage.lines, [{ level: 50, msg: /could not be given back, and run again when their leases end/ }])
  })
})

await t.test('progress', async t => {
  const stage = new Stage(t)
  const adapter = await stage.start()
  const runs = new Runs()
  await adapter.work('mail', runs.run, { concurrency: 1 })
  const { id } = makeJob()
  await adapter.enqueue([makeJob({ id })])
  const { job: active, end } = await runs.number(1)
  await active.progress({ sent: 3 })
  t.match(await adapter.status!(id), { state: 'running', progress: { sent: 3 } })
  await active.progress(undefined)
  t.notOk('progress' in (await adapter.status!(id))!)
  await active.progress({ sent: 4 })
  end(completed)
  await untilState(adapter, id, 'completed')
  await active.progress({ sent: 5 })
  t.match(await adapter.status!(id), { progress: { sent: 4 } }, 'that of a run that is over is not kept')
})

await t.test('jobs that ended long ago are deleted', async t => {
  const stage = new Stage(t)
  const adapter = await stage.start({ retention: { completed: 0 } })
  const other = stage.connect()
  await adapter.enqueue(makeJobs(250))
  const [failed] = makeJobs(1)
  await adapter.enqueue([failed!])
  await adapter.work('mail', ({ id }) => Promise.resolve(id === failed!.id ? { state: 'failed', error: new Error('for good') } : completed), { concurrency: 100 })
  await until(() => (other.prepare('select count(*) as left from background_tasks_jobs').all() as { left: number }[])[0]!.left === 1)
  t.match(await adapter.status!(failed!.id), { state: 'failed', error: { message: 'for good' } })
})

await t.test('deleting that takes long goes on with fewer at once', async t => {
  const stage = new Stage(t)
  const adapter = await stage.start({ retention: { completed: 0 } })
  const other = stage.connect()
  // So that each row takes its time.
  other.exec(`create trigger slow before delete on background_tasks_jobs begin
      select count(*) from (with recursive n (i) as (select 1 union all select i + 1 from n where i < 20000) select i from n);
    end`)
  await adapter.enqueue(makeJobs(120))
  await adapter.work('mail', complete, { concurrency: 200 })
  const left = (): number => (other.prepare('select count(*) as left from background_tasks_jobs').all() as { left: number }[])[0]!.left
  const seen = new Set<number>()
  await until(() => seen.add(left()).has(0))
  t.ok(seen.size > 2, `${[...seen].join(', ')} were left`)
})

await t.test('deleting that fails is logged', async t => {
  const stage = new Stage(t)
  const adapter = await stage.start({ retention: { completed: 0 } })
  stage.connect().exec("create trigger broken before delete on background_tasks_jobs begin select raise(abort, 'the disk is broken'); end")
  await adapter.enqueue([makeJob()])
  await adapter.work('mail', complete, { concurrency: 1 })
  t.match(await stage.line(/jobs that ended long ago could not be deleted/), { level: 40, err: { message: /the disk is broken/ } })
})
