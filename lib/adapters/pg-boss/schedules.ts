import type { Schedule } from '../../../types/index.ts'
import { FST_ERR_BGT_INVALID_OPTIONS, FST_ERR_BGT_NO_CAPABILITY } from '../../errors.ts'
import type { Engine } from './engine.ts'
import { toRowOptions } from './job-row.ts'

/** The most that pg-boss lets a job of a schedule run: 24 hours. */
const LONGEST_RUN = 86_400

/** Adds or replaces the schedule of that name, whichever of the queues it was for. */
export async function setSchedule (engine: Engine, schedule: Schedule): Promise<void> {
  const { name, cron, timezone = 'UTC', queue, task, data, priority } = schedule
  if (cron.trim().split(/\s+/).length > 5) throw new FST_ERR_BGT_NO_CAPABILITY(`The schedule "${name}", which has a field for seconds,`, 'schedule: "second"', 'pg-boss')
  const { data: row, ...options } = toRowOptions(task, data, engine.settings)
  const heartbeatSeconds = Math.max(10, options.heartbeatSeconds!)
  const others = engine.queues.filter(other => other !== queue)
  try {
    await engine.boss.schedule(queue, cron, row, { ...options, heartbeatSeconds, expireInSeconds: LONGEST_RUN, priority, tz: timezone, key: keyOf(name) })
  } catch (cause) {
    if (cause instanceof Error && 'ambiguous' in cause) throw cause
    throw new FST_ERR_BGT_INVALID_OPTIONS(`schedule "${name}"`, (cause as Error).message, { cause })
  }
  await Promise.all(others.map(other => engine.boss.unschedule(other, keyOf(name))))
}

export async function removeSchedule ({ boss, queues }: Engine, name: string): Promise<boolean> {
  const key = keyOf(name)
  const found = await Promise.all(queues.map(queue => boss.getSchedule(queue, key)))
  await Promise.all(queues.map(queue => boss.unschedule(queue, key)))
  return found.some(schedule => schedule !== null)
}

/** pg-boss's keys have letters, digits and _ - . / only. */
function keyOf (name: string): string {
  return name.replace(/[^\w.-]/gu, character => `/${character.codePointAt(0)!.toString(16)}/`)
}
