import { setTimeout } from 'node:timers/promises'

/** What became of jobs, in the order of their ids, once all of them have ended. */
export async function ended (app, ids) {
  return await Promise.all(ids.map(async id => {
    for (;;) {
      const info = await app.backgroundTasks.status(id)
      if (info.endedAt !== undefined) return info
      await setTimeout(20)
    }
  }))
}
