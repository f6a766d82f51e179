import type { Schedule } from '../../../types/index.ts'
import { FST_ERR_BGT_INVALID_OPTIONS, FST_ERR_BGT_NO_CAPABILITY } from '../../errors.ts'
import type { Engine } from './engine.ts'
import { toRowOptions } from './job-row.ts'

/** The most that pg-boss lets a job of a schedule run: 24 hours. */
const LONGEST_RUN = 86_400

/** Adds or replaces the schedule of that name, whichever of the queues it was for. */
export async function schedule (engine: Engine, given: Schedule): Promise<void> {
  const { name, cron, timezone = 'UTC', queue, task, data, priority } = given
  if (cron.trim().split(/\s+/).length > 5) {
    const what = `The schedule "${name}", which has a field for seconds,`
    throw new FST_ERR_BGT_NO_CAPABILITY(what, 'schedule: "second"', 'pg-boss')
  }
  const { data: row, ...options } = toRowOptions(task, data, engine.options)
  const heartbeatSeconds = Math.max(10, options.heartbeatSeconds!)
  const key = keyOf(name)
  try {
    const timing = { heartbeatSeconds, expireInSeconds: LONGEST_RUN, tz: timezone, missed: 'once' as const }
    await engine.boss.schedule(queue, cron, row, { ...options, ...timing, priority, key })
  } catch (cause) {
    if (cause instanceof Error && 'ambiguous' in cause) throw cause
    throw new FST_ERR_BGT_INVALID_OPTIONS(`schedule "${name}"`, (cause as Error).message, { cause })
  }
  const others = engine.queues.filter(other => other !== queue)
  await Promise.all(others.map(other => engine.boss.unschedule(other, key)))
}

export async function unschedule ({ boss, queues }: Engine, name: string): Promise<boolean> {
  const key = keyOf(name)
  const found = await Promise.all(queues.map(queue => boss.getSchedule(queue, key)))
  await Promise.all(queues.map(queue => boss.unschedule(queue, key)))
  return found.some(schedule => schedule !== null)
}

/** pg-boss's keys have letters, digits and _ - . / only. */
function keyOf (name: string): string {
  return name.replace(/[^\w.-]/gu, character => `/${character.codePointAt(0)!.toString(16)}/`)
}
