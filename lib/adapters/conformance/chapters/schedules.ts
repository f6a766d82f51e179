import assert from 'node:assert/strict'
import type { JobData, Schedule } from '../../../../types/index.ts'
import { checks } from '../check.ts'
import type { ConformanceOptions } from '../options.ts'
import { EARLY } from '../stage/event.ts'
import type { Stage } from '../stage/stage.ts'
import { complete } from '../stage/verdict.ts'
import type { Delivery } from '../stage/worker.ts'

const SECOND = 1_000
const MINUTE = 60_000

/**
 * The shortest schedule of each kind, and for each test how many of its times are awaited. `late`: jobs of a time
 * that has just passed may come together with the first.
 */
const shortest = {
  second: { cron: '* * * * * *', step: SECOND, fields: 6, times: 3, missed: 5, late: 1 },
  minute: { cron: '* * * * *', step: MINUTE, fields: 5, times: 1, missed: 2, late: 0 }
}

export function schedules (options: ConformanceOptions): void {
  const check = checks(options)

  check('delivers a job at each time of a schedule, one whatever the number of adapters', ['schedule'], async stage => {
    const schedule = everyTime(stage)
    const adapters = [stage.adapter, await stage.start()]
    const settings = { decide: complete }
    const workers = [await stage.work(adapters[0], settings), await stage.work(adapters[1], settings)]
    const since = Date.now()
    await Promise.all(adapters.map(async adapter => stage.soon(adapter.schedule!(schedule), 'schedule')))
    const { times: awaited, step } = shortestOf(stage)
    const deliveries = (): Delivery[] => workers.flatMap(worker => worker.deliveries)
    await stage.found(() => deliveries().length >= awaited, 'jobs of the schedule', (awaited + 1) * step)
    const { job: { queue, task, attempt, data }, at } = deliveries()[0]!
    const { payload, version, enqueuedAt } = data as JobData
    const expected = { queue: stage.queue, task: schedule.task, attempt: 1, ...schedule.data }
    assert.deepEqual({ queue, task, attempt, payload, version }, expected)
    assert.ok(Math.abs(enqueuedAt - at) < MINUTE, 'data.enqueuedAt: ms since 1970')
    assert.equal(new Set(deliveries().map(({ job }) => job.id)).size, deliveries().length, 'each has an id of its own')
    assert.ok(deliveries().length <= 1 + timesSince(since, step), 'one job for each time')
    assert.equal(await stage.soon(stage.adapter.unschedule!(schedule.name), 'unschedule'), true)
  })

  check('says whether there was a schedule to remove', ['schedule'], async stage => {
    const schedule = everyTime(stage)
    assert.equal(await stage.soon(stage.adapter.unschedule!(schedule.name), 'unschedule'), false)
    await stage.soon(stage.adapter.schedule!(schedule), 'schedule')
    assert.equal(await stage.soon((await stage.start()).unschedule!(schedule.name), 'unschedule'), true)
    assert.equal(await stage.soon(stage.adapter.unschedule!(schedule.name), 'unschedule'), false)
  })

  check('replaces a schedule of the same name, and stops when it is removed', ['scheduleBySecond'], async stage => {
    const schedule = everyTime(stage)
    const worker = await stage.work(stage.adapter, { decide: complete })
    await stage.soon(stage.adapter.schedule!(schedule), 'schedule')
    await stage.soon(stage.adapter.schedule!({ ...schedule, task: 'replaced' }), 'schedule')
    const replaced = (): number => worker.deliveries.map(({ job }) => job.task).indexOf('replaced')
    const hasTwo = (): boolean => replaced() !== -1 && worker.deliveries.length >= replaced() + 2
    await stage.found(hasTwo, 'jobs of the new schedule', 4 * SECOND)
    assert.ok(worker.deliveries.slice(replaced()).every(({ job }) => job.task === 'replaced'))
    await stage.soon(stage.adapter.unschedule!(schedule.name), 'unschedule')
    const before = worker.deliveries.length
    await stage.marker(worker, { delay: 3 * SECOND })
    // One may have been on its way.
    assert.ok(worker.deliveries.length <= before + 2)
  })

  check('stores one job for all the times that pass while nobody works', ['schedule', 'missedOnce'], async stage => {
    const { step, missed, late } = shortestOf(stage)
    const witness = await stage.work(stage.adapter, { queue: stage.otherQueue, decide: complete })
    await set(stage, everyTime(stage), everyTime(stage, stage.otherQueue))
    await stage.found(() => witness.deliveries.length >= missed, 'jobs of another schedule', (missed + 1) * step)
    const since = Date.now()
    const worker = await stage.work(stage.adapter, { decide: complete })
    await worker.next()
    await stage.marker(worker)
    const count = worker.ids.length - 1
    assert.ok(count <= 1 + late + timesSince(since, step), `one job for ${missed} times, not ${count}`)
  })

  check('leaves a job alone that is due when its schedule is set again', ['schedule'], async stage => {
    const both = (cron: string): Schedule[] =>
      [{ ...everyTime(stage), cron }, { ...everyTime(stage, stage.otherQueue), cron }]
    const witness = await stage.work(stage.adapter, { queue: stage.otherQueue, decide: complete })
    const since = Date.now()
    await set(stage, ...both('0 0 29 2 *'))
    // So long that it is set in time on this machine.
    const schedules = both(once(stage, 2 * SECOND + 5 * (Date.now() - since)))
    const schedule = schedules[0]!
    await set(stage, ...schedules)
    await stage.found(() => witness.deliveries.length > 0, 'the job of another schedule', 2 * shortestOf(stage).step)
    await stage.soon((await stage.start()).schedule!(schedule), 'schedule')
    await set(stage, schedule)
    const worker = await stage.work(stage.adapter, { decide: complete })
    assert.equal((await worker.next()).job.task, schedule.task)
    await stage.marker(worker)
    assert.equal(worker.ids.length, 2, 'it comes once')
  })

  check('refuses a schedule that is none', ['schedule'], async stage => {
    const refused = stage.adapter.schedule!({ ...everyTime(stage), cron: 'every day' })
    await assert.rejects(stage.soon(refused, 'rejection of schedule'), Error)
  })
}

function everyTime (stage: Stage, queue: string = stage.queue): Schedule {
  const { retry, priority } = stage.job()
  stage.undo.push(() => stage.adapter.unschedule!(queue))
  return {
    name: queue,
    cron: shortestOf(stage).cron,
    queue,
    task: 'scheduled',
    data: { payload: { from: 'a schedule' }, version: 3 },
    priority,
    retry
  }
}

async function set (stage: Stage, ...schedules: Schedule[]): Promise<void> {
  for (const schedule of schedules) await stage.soon(stage.adapter.schedule!(schedule), 'schedule')
}

/** Times of the shortest schedule that have passed since then. */
function timesSince (since: number, step: number): number {
  return Math.floor((Date.now() + EARLY) / step) - Math.floor(since / step)
}

/** Once a day, and for the first time soon, but not within the lead in ms. */
function once (stage: Stage, lead: number): string {
  const { step, fields } = shortestOf(stage)
  const at = new Date(Date.now() + step + lead)
  return [at.getUTCSeconds(), at.getUTCMinutes(), at.getUTCHours(), '*', '*', '*'].slice(-fields).join(' ')
}

function shortestOf ({ adapter }: Stage): typeof shortest.second {
  return shortest[adapter.capabilities.schedule as keyof typeof shortest]
}
