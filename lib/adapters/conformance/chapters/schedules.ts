import assert from 'node:assert/strict'
import type { JobData, Schedule } from '../../../../types/index.ts'
import { checks } from '../check.ts'
import type { ConformanceOptions } from '../options.ts'
import type { Stage } from '../stage/stage.ts'
import { complete } from '../stage/verdict.ts'
import type { Delivery } from '../stage/worker.ts'

const SECOND = 1_000
const MINUTE = 60_000

/** The shortest schedule of each kind, how many of its times are awaited, and for how many ms more. */
const shortest = {
  second: { cron: '* * * * * *', times: 3, patience: 5 * SECOND },
  minute: { cron: '* * * * *', times: 1, patience: MINUTE }
}

export function schedules (options: ConformanceOptions): void {
  const check = checks(options)

  check('delivers a job at each time of a schedule, one whatever the number of adapters', ['schedule'], async stage => {
    const schedule = everyTime(stage)
    const adapters = [stage.adapter, await stage.start()]
    const settings = { decide: complete }
    const workers = [await stage.work(adapters[0], settings), await stage.work(adapters[1], settings)]
    await Promise.all(adapters.map(async adapter => stage.soon(adapter.schedule!(schedule), 'schedule')))
    const { times: awaited, patience } = shortestOf(stage)
    const deliveries = (): Delivery[] => workers.flatMap(worker => worker.deliveries)
    await stage.found(() => deliveries().length >= awaited, 'jobs of the schedule', patience)
    const { job: { queue, task, attempt, data }, at } = deliveries()[0]!
    const { payload, version, enqueuedAt } = data as JobData
    const expected = { queue: stage.queue, task: schedule.task, attempt: 1, ...schedule.data }
    assert.deepEqual({ queue, task, attempt, payload, version }, expected)
    assert.ok(Math.abs(enqueuedAt - at) < MINUTE, 'data.enqueuedAt: ms since 1970')
    assert.equal(new Set(deliveries().map(({ job }) => job.id)).size, deliveries().length, 'each has an id of its own')
    const times = deliveries().map(({ at }) => at)
    const seconds = Math.ceil((Math.max(...times) - Math.min(...times)) / SECOND)
    assert.ok(deliveries().length <= 1 + seconds, 'one job for each time')
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
    await stage.found(hasTwo, 'jobs of the new schedule', shortestOf(stage).patience)
    assert.ok(worker.deliveries.slice(replaced()).every(({ job }) => job.task === 'replaced'))
    await stage.soon(stage.adapter.unschedule!(schedule.name), 'unschedule')
    const before = worker.deliveries.length
    await stage.marker(worker, { delay: 3 * SECOND })
    // One may have been on its way.
    assert.ok(worker.deliveries.length <= before + 2)
  })

  check('refuses a schedule that is none', ['schedule'], async stage => {
    const refused = stage.adapter.schedule!({ ...everyTime(stage), cron: 'every day' })
    await assert.rejects(stage.soon(refused, 'rejection of schedule'), Error)
  })
}

function everyTime (stage: Stage): Schedule {
  const { retry, priority } = stage.job()
  stage.undo.push(() => stage.adapter.unschedule!(stage.queue))
  return {
    name: stage.queue,
    cron: shortestOf(stage).cron,
    queue: stage.queue,
    task: 'scheduled',
    data: { payload: { from: 'a schedule' }, version: 3 },
    priority,
    retry
  }
}

function shortestOf ({ adapter }: Stage): typeof shortest.second {
  return shortest[adapter.capabilities.schedule as keyof typeof shortest]
}
