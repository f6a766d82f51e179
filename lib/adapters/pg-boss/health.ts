import type { Health } from '../../../types/index.ts'
import type { Engine } from './engine.ts'

const HEALTH_TIMEOUT = 2_000

const settings = `
  SELECT name, setting FROM pg_settings
  WHERE name IN ('fsync', 'synchronous_commit', 'full_page_writes', 'transaction_read_only')`

interface Setting { name: string, setting: string }

/** @throws FST_ERR_BGT_QUEUE_UNAVAILABLE */
export async function healthOf (engine: Engine): Promise<Health> {
  const began = performance.now()
  const { rows } = await engine.database.query<Setting>(settings, [], HEALTH_TIMEOUT)
  const latency = performance.now() - began
  const of = new Map(rows.map(({ name, setting }) => [name, setting]))
  const warnings = [...warningsOf(engine, of)]
  const error = problemOf(engine, of)
  return error === undefined ? { ok: true, latency, warnings } : { ok: false, latency, warnings, error }
}

/** A standby says that it is read-only, as does a server that was told to be. */
function problemOf ({ isReady }: Engine, of: Map<string, string>): string | undefined {
  if (of.get('transaction_read_only') === 'on') {
    return 'the server is read-only, as a standby is, and takes no jobs: connect to the primary'
  }
  return isReady ? undefined : 'pg-boss has not started yet'
}

function * warningsOf ({ isReady, listener }: Engine, of: Map<string, string>): Generator<string> {
  if (of.get('fsync') === 'off') {
    yield 'fsync is off: what was enqueued is lost when the machine fails. Set fsync = on.'
  }
  if (of.get('full_page_writes') === 'off') {
    yield 'full_page_writes is off: jobs may be damaged when the machine fails. Set full_page_writes = on.'
  }
  if (of.get('synchronous_commit') === 'off') {
    yield 'synchronous_commit is off: the last jobs enqueued are lost when the server fails. ' +
      'Set synchronous_commit = on, at least for this user.'
  }
  if (isReady && !listener.connected) {
    yield 'No connection that LISTENs: jobs start when they are polled for. ' +
      'Connect without a pooler that shares sessions.'
  }
}
