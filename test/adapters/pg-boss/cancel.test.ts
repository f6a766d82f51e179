import { once } from 'node:events'
import { type Test, test } from 'tap'
import type { ActiveJob, Job, JobVerdict } from '../../../types/index.ts'
import { Child } from '../../helpers/child.ts'
import { latch } from '../../helpers/latch.ts'
import { inState, jobOf, type PgBossAdapter, Runs, started } from '../../helpers/pg-boss.ts'
import { query, schemaOf, sharedPostgres } from '../../helpers/postgres.ts'

void test('a wish to cancel a job that pgBoss has given to a worker', async t => {
  const connection = await sharedPostgres(t)
  const code = 'FST_ERR_BGT_CANCELLED'

  async function aborted ({ signal }: ActiveJob): Promise<JobVerdict> {
    if (!signal.aborted) await once(signal, 'abort')
    return { state: 'cancelled', error: signal.reason as Error }
  }

  function options (t: Test): { connection: string, schema: string, lease: number } {
    return { connection, schema: schemaOf(t, connection), lease: 1_000 }
  }

  /** A job that a worker took, and then died. */
  async function orphaned (t: Test, adapter: PgBossAdapter, { schema }: { schema: string }): Promise<Job> {
    const job = jobOf()
    await adapter.enqueue([job])
    const worker = new Child(t, 'test/fixtures/pg-boss/worker.ts', [connection, 'mails', schema, '1000'])
    await worker.line(/^holds a job$/)
    await worker.kill()
    return job
  }

  void t.test('reaches it although its message came before the job, or to nobody', async t => {
    const own = options(t)
    const { adapter: worker } = await started(t, { ...own, bossOptions: { useListenNotify: false } })
    const { adapter } = await started(t, own)
    const runs = new Runs(aborted)
    const job = jobOf()
    await adapter.enqueue([job])
    await worker.work('mails', runs.run, { concurrency: 1 })
    await runs.reach(1)
    t.equal(await adapter.cancel(job.id), 'running')
    t.match(await inState(adapter, job.id, 'cancelled'), { attempts: 1, error: { code } })
  })

  void t.test('outlasts its worker, whoever finds that dead, and what else is kept of the job', async t => {
    for (const finder of ['worker', 'pg-boss']) {
      const own = options(t)
      const { adapter } = await started(t, own)
      const job = await orphaned(t, adapter, own)
      t.equal(await adapter.cancel(job.id), 'running')
      if (finder === 'pg-boss') {
        await query(connection, `UPDATE ${own.schema}.job SET heartbeat_on = now() - interval '1 hour' WHERE id = $1`, [job.id])
        await adapter.native.supervise('mails')
      }
      const runs = new Runs(({ signal }) => ({ state: 'cancelled', error: signal.reason as Error }))
      await adapter.work('mails', runs.run, { concurrency: 1 })
      t.match(await inState(adapter, job.id, 'cancelled'), { error: { code } })
      t.match(runs.jobs, [{ attempt: 2, signal: { aborted: true } }])
    }
  })

  void t.test('outlasts progress and an attempt that fails before it is told, and does not wait for the next', async t => {
    const own = options(t)
    const { adapter: worker } = await started(t, { ...own, lease: 60_000, bossOptions: { useListenNotify: false } })
    const { adapter } = await started(t, own)
    const [began, asked] = [latch(), latch()]
    const runs = new Runs(async job => {
      if (job.attempt === 2) return aborted(job)
      began.open()
      await asked.opened
      await job.progress('half')
      return { state: 'retrying', error: new Error('again'), delay: 3_600_000 }
    })
    const job = jobOf()
    await adapter.enqueue([job])
    await worker.work('mails', runs.run, { concurrency: 1 })
    await began.opened
    t.equal(await adapter.cancel(job.id), 'running')
    asked.open()
    t.match(await inState(adapter, job.id, 'cancelled'), { attempts: 2, progress: 'half', error: { code } })
  })

  void t.test('ends with the job, which may be run again', async t => {
    const { adapter } = await started(t, options(t))
    const asked = latch()
    const runs = new Runs(async ({ attempt }) => {
      await asked.opened
      return attempt === 1 ? { state: 'failed', error: new Error('no') } : { state: 'completed', result: undefined }
    })
    const job = jobOf()
    await adapter.enqueue([job])
    await adapter.work('mails', runs.run, { concurrency: 1 })
    await runs.reach(1)
    t.equal(await adapter.cancel(job.id), 'running')
    asked.open()
    await inState(adapter, job.id, 'failed')
    await adapter.native.retry('mails', job.id)
    await inState(adapter, job.id, 'completed')
    t.equal(runs.jobs[1]!.signal.aborted, false)
  })
})
