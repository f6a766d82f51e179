import type { Health } from '../../../types/index.ts'
import type { Connection } from './connection.ts'
import type { Pump } from './pump.ts'
import { TOUCH } from './statements.ts'

const NORMAL_IN_WAL = 1

/** Writes, so that a full disk and a lasting lock are seen. Throws what keeps the jobs from running. */
export async function healthOf ({ connection, pump }: { connection: Connection, pump: Pump }): Promise<Health> {
  if (pump.trouble !== undefined) throw pump.trouble
  const began = performance.now()
  await connection.write(() => connection.run(TOUCH))
  const latency = performance.now() - began
  return { ok: true, latency, warnings: [...warningsOf(connection)] }
}

function * warningsOf (connection: Connection): Generator<string> {
  const [{ journal_mode: mode }] = connection.all('pragma journal_mode') as [{ journal_mode: string }]
  const [{ synchronous }] = connection.all('pragma synchronous') as [{ synchronous: number }]
  if (connection.file.path === '') {
    yield 'The database is in memory, and jobs are lost with this process: use a file.'
  } else if (mode !== 'wal') {
    yield `The journal_mode is "${mode}", and readers hold up writers: ` +
      'put the file on a disk of this host, where SQLite can use WAL.'
  }
  if (connection.file.isOpenToOthers) {
    yield 'The file may be read by other users of this host, with the payloads in it: chmod 600, also of the files ' +
      'beside it that end with -wal and -shm.'
  }
  if (Number(synchronous) <= NORMAL_IN_WAL) {
    yield 'The connection is used with synchronous = NORMAL or OFF, and what is enqueued with "tx" may be lost ' +
      'in a power failure: set it to FULL.'
  }
}
