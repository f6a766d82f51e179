import { isDeepStrictEqual } from 'node:util'
import type { Queue } from 'bullmq'
import type { Schedule } from '../../../types/index.ts'
import type { Engine } from './engine.ts'
import { priorityOf } from './enqueue.ts'

/** Adds or replaces the schedule of that name, whichever of the queues it was for. */
export async function schedule (engine: Engine, given: Schedule): Promise<void> {
  const { name, cron: pattern, timezone: tz = 'UTC', queue, task, data, priority, retry } = given
  engine.names.add(queue)
  const opened = await engine.queues.open(queue)
  const opts = { priority: priorityOf(priority), attempts: retry.attempts }
  const wanted = { name: task, pattern, tz, template: { data, opts: { ...opened.defaultJobOptions, ...opts } } }
  // BullMQ would replace its job, also one that is due and waits.
  if (!await isKept(opened, name, wanted)) {
    await opened.upsertJobScheduler(name, { pattern, tz }, { name: task, data, opts })
  }
  await unschedule(engine, name, queue)
}

/** Whether a schedule is there, the same in all, with the job that it goes on with. */
async function isKept (queue: Queue, name: string, wanted: object): Promise<boolean> {
  const found = await queue.getJobScheduler(name)
  if (found?.next === undefined) return false
  const { name: task, pattern, tz, template, next } = found
  if (!isDeepStrictEqual({ name: task, pattern, tz, template }, JSON.parse(JSON.stringify(wanted)))) return false
  return ['delayed', 'prioritized', 'waiting', 'active'].includes(await queue.getJobState(`repeat:${name}:${next}`))
}

/** @param except a queue that keeps its schedule. */
export async function unschedule ({ names, queues }: Engine, name: string, except?: string): Promise<boolean> {
  const others = [...names].filter(queue => queue !== except)
  const removed = await Promise.all(others.map(async queue => (await queues.open(queue)).removeJobScheduler(name)))
  return removed.includes(true)
}
