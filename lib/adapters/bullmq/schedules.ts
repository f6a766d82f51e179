import type { Schedule } from '../../../types/index.ts'
import type { Engine } from './engine.ts'
import { priorityOf } from './enqueue.ts'

/** Adds or replaces the schedule of that name, whichever of the queues it was for. */
export async function schedule (engine: Engine, given: Schedule): Promise<void> {
  const { name, cron, timezone = 'UTC', queue, task, data, priority, retry } = given
  engine.names.add(queue)
  const opened = await engine.queues.open(queue)
  const opts = { priority: priorityOf(priority), attempts: retry.attempts }
  await opened.upsertJobScheduler(name, { pattern: cron, tz: timezone }, { name: task, data, opts })
  await unschedule(engine, name, queue)
}

/** @param except a queue that keeps its schedule. */
export async function unschedule ({ names, queues }: Engine, name: string, except?: string): Promise<boolean> {
  const others = [...names].filter(queue => queue !== except)
  const removed = await Promise.all(others.map(async queue => (await queues.open(queue)).removeJobScheduler(name)))
  return removed.includes(true)
}
