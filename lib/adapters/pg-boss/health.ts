import type { Health } from '../../../types/index.ts'
import type { Engine } from './engine.ts'

const HEALTH_TIMEOUT = 2_000

const settings = `
  SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'synchronous_commit', 'full_page_writes', 'transaction_read_only')`

/** Never rejects. */
export async function healthOf (engine: Engine): Promise<Health> {
  const began = performance.now()
  try {
    const { rows } = await engine.database.query<{ name: string, setting: string }>(settings, [], HEALTH_TIMEOUT)
    const latency = performance.now() - began
    const warnings = warningsOf(engine, new Map(rows.map(({ name, setting }) => [name, setting])))
    return engine.isReady ? { ok: true, latency, warnings } : { ok: false, latency, warnings, error: 'pg-boss has not started yet' }
  } catch (error) {
    return { ok: false, warnings: [], error: (error as Error).message }
  }
}

function warningsOf ({ isReady, listener }: Engine, of: Map<string, string>): string[] {
  const warnings = []
  if (of.get('fsync') === 'off') warnings.push('fsync is off: what was enqueued is lost when the machine fails. Set fsync = on.')
  if (of.get('full_page_writes') === 'off') warnings.push('full_page_writes is off: jobs may be damaged when the machine fails. Set full_page_writes = on.')
  if (of.get('synchronous_commit') === 'off') warnings.push('synchronous_commit is off: the last jobs enqueued are lost when the server fails. Set synchronous_commit = on, at least for this user.')
  if (of.get('transaction_read_only') === 'on') warnings.push('The server is read-only, as a standby is, and takes no jobs. Connect to the primary.')
  if (isReady && !listener.connected) warnings.push('No connection that LISTENs: jobs start when they are polled for. Connect without a pooler that shares sessions.')
  return warnings
}
