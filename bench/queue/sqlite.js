import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'libsql'
import { sqlite } from '../../dist/lib/adapters/sqlite/index.js'
import { makeApp } from './app.js'
import { Finish, makeTask, payload } from './task.js'

/** The engine alone is one INSERT of the same row, committed with `synchronous = FULL`, by the same driver. */
export async function open () {
  const folder = await mkdtemp(join(tmpdir(), 'bench-sqlite-'))
  const file = join(folder, 'queue.db')
  const task = makeTask(new Finish())
  const app = await makeApp(sqlite({ file }), task)
  await app.ready()
  const database = new Database(file)
  database.exec('pragma synchronous = full')
  const insert = database.prepare(`
    insert into background_tasks_jobs (id, queue, task, data, priority, state, due, enqueued_at)
    values (?, ?, ?, ?, ?, ?, ?, ?) on conflict (id) do nothing`)

  return {
    targets: { 1: 0.8, 100: 10 },
    async raw () {
      const now = Date.now()
      const data = JSON.stringify({ payload, version: 1, enqueuedAt: now })
      insert.run(randomUUID(), 'default', 'mail', data, 50, 'pending', now, now)
    },
    ours: () => app.backgroundTasks.enqueue(task, payload),
    async clear () {
      database.exec('delete from background_tasks_jobs')
    },
    async close () {
      await app.close()
      database.close()
      await rm(folder, { recursive: true })
    }
  }
}
