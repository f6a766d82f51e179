import type { Health } from '../../../types/index.ts'
import type { Connection } from './connection.ts'

const NORMAL_IN_WAL = 1

/** Writes, so that a full disk and a lasting lock are seen. */
export async function diagnose (connection: Connection): Promise<Health> {
  const began = performance.now()
  await connection.write(() => connection.run('update background_tasks_schema set version = version'))
  const latency = performance.now() - began
  return { ok: true, latency, warnings: [...warningsAbout(connection)] }
}

function * warningsAbout (connection: Connection): Generator<string> {
  const [{ journal_mode: mode }] = connection.all<{ journal_mode: string }>('pragma journal_mode') as [{ journal_mode: string }]
  const [{ synchronous }] = connection.all<{ synchronous: number }>('pragma synchronous') as [{ synchronous: number }]
  if (connection.file === '') yield 'The database is in memory, and jobs are lost with this process: use a file.'
  else if (mode !== 'wal') yield `The journal_mode is "${mode}", and readers hold up writers: put the file on a disk of this host, where SQLite can use WAL.`
  if (Number(synchronous) <= NORMAL_IN_WAL) yield 'The connection is used with synchronous = NORMAL or OFF, and what is enqueued with "tx" may be lost in a power failure: set it to FULL.'
}
