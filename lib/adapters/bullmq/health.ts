import type { Redis } from 'ioredis'
import type { Health } from '../../../types/index.ts'
import type { Connection } from './connection.ts'

/** Never rejects: what cannot be asked is not healthy. */
export async function healthOf (connection: Connection): Promise<Health> {
  try {
    await connection.ready()
    const asked = performance.now()
    await connection.client.ping()
    const latency = performance.now() - asked
    return { ok: true, latency, warnings: warningsOf(await settingsOf(connection.client)) }
  } catch (error) {
    return { ok: false, warnings: [], error: (error as Error).message }
  }
}

/** By INFO: hosted servers often have no CONFIG. */
async function settingsOf (client: Redis): Promise<Map<string, string>> {
  const info = await client.info()
  return new Map(Array.from(info.matchAll(/^([^#:\s]+):(.*?)\r?$/gm), ([, key, value]) => [key!, value!]))
}

function warningsOf (settings: Map<string, string>): string[] {
  const warnings: string[] = []
  if (settings.get('aof_enabled') === '0') {
    warnings.push('Redis has no append-only file, so jobs that it has acknowledged are lost when it crashes: set "appendonly yes".')
  }
  const policy = settings.get('maxmemory_policy')
  if (policy !== undefined && policy !== 'noeviction') {
    warnings.push(`Redis may evict jobs when it runs out of memory (maxmemory-policy is ${policy}): set "maxmemory-policy noeviction".`)
  }
  return warnings
}
