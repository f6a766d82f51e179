import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { QueueAdapter } from '../../../../types/index.ts'
import { checks } from '../check.ts'
import type { ConformanceOptions, Faults } from '../options.ts'
import { soon } from '../stage/event.ts'
import { Notes } from '../stage/notes.ts'
import { type Outage, outages, Producer } from '../stage/outage.ts'
import { complete, obey } from '../stage/verdict.ts'

const CONCURRENCY = 5
/** Lines of warnings and errors that one outage is worth. */
const LINES = 50
/** Workers that one job may kill, at the most. */
const KILLS = 20

export function faults (options: ConformanceOptions): void {
  const given = options.faults ?? {}
  const { killWorker, recovery = 60_000 } = given
  const kinds = outages(given)
  if (kinds.length < 2) {
    void test('a server that is down, or hangs', { skip: 'needs the faults stop and start, freeze and thaw' })
  }
  for (const outage of kinds) withstands(outage, options)

  if (killWorker === undefined) {
    void test('a worker that is killed', { skip: 'needs the fault killWorker' })
    return
  }
  checks(options)('delivers the job of a worker that was killed again, once', [], async stage => {
    const [job, behind] = [stage.job({ priority: 100 }), stage.job()]
    await stage.enqueue([job, behind])
    await killWorker(stage.queue)
    const worker = await stage.work(stage.adapter, { decide: complete })
    await stage.found(() => worker.has(job.id, behind.id), 'delivery of both jobs', recovery)
    await stage.marker(worker)
    assert.deepEqual(worker.ids.slice(0, -1).sort(), [job.id, behind.id].sort())
    assert.deepEqual(worker.deliveries.find(delivery => delivery.job.id === job.id)!.job.data, job.data)
    if (stage.adapter.status !== undefined) await stage.state(job.id, 'completed')
  })

  checks(options)('ends a job as failed that kills each of its workers', ['status'], async stage => {
    const adapter = await stage.start({ maxStalled: 2 })
    const [deadly, bait] = [stage.job(), stage.job()]
    await stage.enqueue([deadly], adapter)
    const over = new AbortController()
    const kill = async (): Promise<void> => {
      for (let kills = 0; !over.signal.aborted; kills++) {
        assert.ok(kills < KILLS, `it does not go on after ${KILLS} workers`)
        await killWorker(stage.queue)
      }
    }
    const isFailed = async (): Promise<boolean> => (await stage.status(deadly.id))?.state === 'failed'
    const killing = kill()
    try {
      await Promise.race([killing, stage.found(isFailed, 'end as failed', recovery)])
    } finally {
      over.abort()
      // For the process that is about to be killed.
      await stage.enqueue([bait])
      await soon(killing, stage.timeout + recovery, 'end of the last worker')
    }
    assert.ok((await stage.status(deadly.id))!.error, 'status: an error that says so')
    const worker = await stage.work(stage.adapter, { decide: complete })
    await stage.marker(worker)
    assert.ok(!worker.has(deadly.id), 'it is not delivered again')
  })

  if (options.cancelRunning !== false) tellsTheNext(killWorker, recovery, options)
}

function tellsTheNext (
  killWorker: NonNullable<Faults['killWorker']>, recovery: number, options: ConformanceOptions
): void {
  const needs = ['cancel', 'status'] as const
  checks(options)('tells the next worker of a job that was cancelled when its own had died', needs, async stage => {
    const job = stage.job()
    await stage.enqueue([job])
    await killWorker(stage.queue)
    const answer = await stage.soon(stage.adapter.cancel!(job.id), 'cancel')
    assert.ok(['running', 'cancelled'].includes(answer), `it is ${answer}`)
    await stage.stopped(job.id, await stage.work(stage.adapter, { decide: obey }), recovery)
  })
}

function withstands (outage: Outage, options: ConformanceOptions): void {
  const { kind, deadline, recovery } = outage
  const check: ReturnType<typeof checks> = (name, needs, body) => {
    checks(options)(name, needs, async (stage, report) => {
      try {
        await body(stage, report)
      } finally {
        await outage.end()
      }
    })
  }

  check(`rejects soon while the server ${kind}, and works again by itself`, [], async stage => {
    const { adapter } = stage
    const producer = new Producer(stage, adapter, outage)
    const worker = await stage.work(adapter, { decide: complete })
    const first = stage.job()
    await producer.send(first)
    await worker.next()

    await outage.begin()
    const latest = []
    for (const job of stage.jobs(5)) latest.push(await producer.send(job))
    assert.ok(!latest.includes('acknowledged'), 'nothing is acknowledged')
    if (kind === 'is down') {
      assert.equal(latest.at(-1), 'refused', 'ambiguous: false once the connection is known to be lost')
    }
    const { ok, error } = await soon(adapter.health(), deadline, 'health')
    assert.equal(ok, false)
    assert.equal(typeof error, 'string', 'health: an error in words')

    await outage.end()
    await producer.acknowledge(stage.job())
    await producer.settle()
    await assertBalanced()
    await stage.found(async () => (await adapter.health()).ok, 'health that is ok', recovery)
    const { warn = 0, error: errors = 0, fatal = 0 } = stage.notes.counts
    assert.ok(warn + errors + fatal <= LINES, `${warn + errors + fatal} lines were logged`)

    async function assertBalanced (): Promise<void> {
      const { acknowledged, refused } = producer.answers
      await stage.found(() => worker.has(...acknowledged.keys()), 'delivery of all that was acknowledged', recovery)
      await stage.marker(worker)
      for (const id of refused.keys()) {
        assert.ok(!worker.has(id), 'a job rejected with ambiguous: false is not delivered')
      }
      // The first may have been under way when the outage began.
      const others = worker.ids.filter(id => id !== first.id)
      assert.equal(surplus(others, producer), 0, 'each is delivered once')
    }
  })

  check(`starts while the server ${kind}, and works once it is back`, [], async stage => {
    await outage.begin()
    const adapter = await stage.create()
    await soon(adapter.start(stage.startOptions), deadline, 'start')
    const producer = new Producer(stage, adapter, outage)
    const job = stage.job()
    const working = stage.work(adapter, { decide: complete, patience: recovery })
    const answer = await producer.send(job)
    assert.notEqual(answer, 'acknowledged')
    if (kind === 'is down') assert.equal(answer, 'refused', 'ambiguous: false')
    await outage.end()
    await producer.acknowledge(job)
    const worker = await working
    await stage.found(() => worker.ids.includes(job.id), 'delivery', recovery)
  })

  check(`closes while the server ${kind}, and the job under way is delivered again`, [], async stage => {
    const adapter = await stage.start({ lease: 2_000 })
    const job = stage.job()
    await stage.enqueue([job])
    await (await stage.work(adapter)).next()
    await outage.begin()
    await soon(adapter.close({ grace: 100 }), 100 + deadline, 'close')
    await outage.end()
    const other = await stage.start({ lease: 2_000 })
    const worker = await stage.work(other, { decide: complete, patience: recovery })
    await stage.found(() => worker.ids.includes(job.id), 'delivery to the next worker', recovery)
  })

  check(`runs all that it acknowledged when the server ${kind} under load`, [], async (stage, report) => {
    const adapter = await stage.start()
    const producer = new Producer(stage, adapter, outage)
    const { acknowledged, refused, unsure } = producer.answers
    const worker = await stage.work(stage.adapter, { concurrency: CONCURRENCY, decide: complete })
    const settled = stage.jobs(20)
    await stage.enqueue(settled)
    await worker.take(settled.length)
    if (stage.adapter.status !== undefined) for (const { id } of settled) await stage.state(id, 'completed')

    let goal = Infinity
    const interrupt = async (): Promise<void> => {
      try {
        await stage.found(() => acknowledged.size >= 100, '100 acknowledgements')
        await outage.begin()
        await stage.found(() => refused.size + unsure.size >= 10, 'rejections', deadline)
        await outage.end()
      } finally {
        goal = acknowledged.size + 100
      }
    }
    try {
      const load = producer.load(() => acknowledged.size >= goal)
      await soon(Promise.all([load, interrupt()]), stage.timeout + recovery, 'acknowledgements after the outage')
    } finally {
      goal = 0
    }
    const doubts = unsure.size
    await producer.settle()

    await stage.found(() => worker.has(...acknowledged.keys()), 'delivery of all that was acknowledged', recovery)
    // By the adapter that is known to be connected again.
    await stage.marker(worker, {}, adapter)
    const ids = worker.ids
    const repeated = surplus(ids, producer)
    report(`${acknowledged.size} acknowledged, ${doubts} of them after a doubt, ` +
      `${refused.size} refused, ${repeated} delivered twice`)
    for (const id of refused.keys()) {
      assert.ok(!ids.includes(id), 'a job rejected with ambiguous: false is not delivered')
    }
    for (const { id } of settled) {
      assert.equal(ids.filter(other => other === id).length, 1, 'what had ended before is not delivered again')
    }
    assert.ok(repeated <= CONCURRENCY, `only what was under way may be delivered again: ${repeated} were`)
  })
}

/** Deliveries above those that the producer has to expect. */
function surplus (ids: string[], producer: Producer): number {
  const counts = new Map<string, number>()
  for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1)
  return [...counts].reduce((sum, [id, count]) => sum + Math.max(0, count - producer.mayCome(id)), 0)
}

/** For the process that `killWorker` kills: works on the queue, resolves once it holds a job, and never lets it go. */
export async function holdJobs (adapter: QueueAdapter, queue: string): Promise<void> {
  await adapter.start({ queues: [queue], log: new Notes().log })
  await new Promise<void>((resolve, reject) => {
    adapter.work(queue, async () => {
      resolve()
      return await new Promise(() => {})
    }, { concurrency: 1 }).catch(reject)
  })
}
