import type { Redis } from 'ioredis'
import type { Health } from '../../../types/index.ts'
import type { Connection } from './connection.ts'

/** @throws FST_ERR_BGT_QUEUE_UNAVAILABLE, or as ioredis does. */
export async function healthOf ({ connection }: { connection: Connection }): Promise<Health> {
  await connection.ready()
  const began = performance.now()
  await connection.client.ping()
  const latency = performance.now() - began
  return { ok: true, latency, warnings: warningsOf(await settingsOf(connection.client)) }
}

/** By INFO: hosted servers often have no CONFIG. */
async function settingsOf (client: Redis): Promise<Map<string, string>> {
  const info = await client.info()
  return new Map(Array.from(info.matchAll(/^([^#:\s]+):(.*?)\r?$/gm), ([, key, value]) => [key!, value!]))
}

function warningsOf (settings: Map<string, string>): string[] {
  const warnings: string[] = []
  if (settings.get('aof_enabled') === '0') {
    warnings.push('Redis has no append-only file, so jobs that it has acknowledged are lost when it crashes: ' +
      'set "appendonly yes".')
  }
  const policy = settings.get('maxmemory_policy')
  if (policy !== undefined && policy !== 'noeviction') {
    warnings.push(`Redis may evict jobs when it runs out of memory (maxmemory-policy is ${policy}): ` +
      'set "maxmemory-policy noeviction".')
  }
  return warnings
}
