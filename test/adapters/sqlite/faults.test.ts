import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Job } from '../../../types/index.ts'
import { build } from '../../helpers/build.ts'
import { Child } from '../../helpers/child.ts'
import { makeJob, makeJobs } from '../../helpers/job.ts'
import { complete, Stage, until, untilState } from '../../helpers/sqlite.ts'

build()

function work (t: Test, { file }: Stage, lease: number = 1_000): Child {
  return new Child(t, 'test/fixtures/sqlite/worker.js', [file, `${lease}`])
}

/** The ids behind a word that processes have said. */
function said (word: string, ...children: Child[]): string[] {
  return children.flatMap(({ lines }) => lines).filter(line => line.startsWith(`${word} `)).map(line => line.slice(word.length + 1))
}

async function allEnded (stage: Stage): Promise<void> {
  const database = stage.connect()
  await until(() => database.prepare('select 1 from background_tasks_jobs where ended_at is null limit 1').all().length === 0)
}

await t.test('two processes on one file share 1,000 jobs and more, and run none twice', async t => {
  const stage = new Stage(t)
  const producer = await stage.start()
  // Each of them may stand still for a while without losing its jobs to the other.
  const workers = [work(t, stage, 60_000), work(t, stage, 60_000)]
  await Promise.all(workers.map(worker => worker.line(/^works$/)))
  const sent: Job[] = []
  // One alone may be fast enough for 1,000.
  while (sent.length < 1_000 || workers.some(worker => said('runs', worker).length === 0)) {
    const more = makeJobs(50)
    sent.push(...more)
    await producer.enqueue(more)
    await new Promise(resolve => setImmediate(resolve))
  }
  await allEnded(stage)
  for (const worker of workers) worker.terminate()
  for (const worker of workers) t.strictSame(await worker.exit, { code: 0, signal: null })
  t.strictSame(said('runs', ...workers).sort(), sent.map(({ id }) => id).sort())
})

await t.test('what a killed worker was running runs again, once', async t => {
  const stage = new Stage(t)
  const producer = await stage.start()
  const victim = work(t, stage)
  await victim.line(/^works$/)
  const [endless, ...others] = [makeJob({ task: 'endless' }), ...makeJobs(20)]
  await producer.enqueue([endless, ...others])
  await until(() => said('runs', victim).length === 21)
  await until(async () => (await Promise.all(others.map(({ id }) => producer.status!(id)))).every(info => info?.state === 'completed'))
  void victim.kill()
  t.strictSame(await victim.exit, { code: null, signal: 'SIGKILL' })
  const survivor = await stage.start({ lease: 1_000 })
  const ran: string[] = []
  await survivor.work('mail', ({ id, attempt }) => {
    ran.push(`${id} ${attempt}`)
    return complete()
  }, { concurrency: 5 })
  await untilState(producer, endless.id, 'completed')
  t.strictSame(ran, [`${endless.id} 2`])
  t.match(await stage.line(/leases of workers that died, or stood still, have ended/), { level: 40, jobs: 1 })
})

await t.test('a job that kills its worker each time ends as failed', async t => {
  const stage = new Stage(t)
  const producer = await stage.start()
  const [poisoned, harmless] = [makeJob({ task: 'poisoned' }), makeJob()]
  await producer.enqueue([poisoned])
  for (const worker of [work(t, stage), work(t, stage)]) {
    t.strictSame(await worker.exit, { code: null, signal: 'SIGKILL' })
  }
  const worker = work(t, stage)
  await producer.enqueue([harmless])
  t.match(await untilState(producer, poisoned.id, 'failed'), { attempts: 2, error: { code: 'FST_ERR_BGT_STALLED' } })
  await untilState(producer, harmless.id, 'completed')
  // What it has said is all here only when it has ended.
  worker.terminate()
  t.strictSame(await worker.exit, { code: 0, signal: null })
  t.strictSame(said('runs', worker), [harmless.id])
})

await t.test('a full disk: what was acknowledged is stored and runs, to the unit', async t => {
  const disk = mountSmallDisk(t)
  if (disk === undefined) return t.comment('not run: a full disk, which takes root to mount a small one')
  const stage = new Stage(t, disk.folder)
  const worker = await stage.start()
  const producer = new Child(t, 'test/fixtures/sqlite/producer.js', [stage.file])
  await producer.line(/^full$/)
  void producer.kill()
  await producer.exit
  const acknowledged = said('acknowledged', producer)
  t.ok(acknowledged.length > 100)
  t.match(said('refused', producer), Array.from({ length: 20 }, () => /^FST_ERR_BGT_QUEUE_UNAVAILABLE false .*(SQLITE_FULL|SQLITE_IOERR|disk is full|disk I\/O error)/))
  const stored = worker.native!.prepare('select id from background_tasks_jobs order by sequence').all() as { id: string }[]
  t.strictSame(stored.map(({ id }) => id), acknowledged)

  const ran: string[] = []
  await worker.work('mail', ({ id }) => {
    ran.push(id)
    return complete()
  }, { concurrency: 10 })
  const stuck = await stage.line(/no job can be taken and no outcome recorded/)
  t.match(stuck.err, { message: /disk is full/ })
  t.match(await worker.health(), { ok: false, error: /SQLITE_FULL|disk is full/ })
  disk.enlarge()
  await until(async () => (await worker.status!(acknowledged.at(-1)!))?.state === 'completed')
  await allEnded(stage)
  t.strictSame(ran, acknowledged, 'each once, in order')
  await until(async () => (await worker.health()).ok)
  t.comment(`${acknowledged.length} acknowledged = stored = run`)
})

function mountSmallDisk (t: Test): { folder: string, enlarge (): void } | undefined {
  if (process.platform !== 'linux' || process.getuid!() !== 0) return undefined
  const folder = mkdtempSync(join(tmpdir(), 'background-tasks-disk-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', folder], { stdio: 'ignore' })
  } catch {
    // Containers may forbid it to root too.
    return undefined
  }
  t.teardown(() => execFileSync('umount', ['--lazy', folder]))
  return { folder, enlarge: () => execFileSync('mount', ['-o', 'remount,size=64m', folder]) }
}
