import type { Redis } from 'ioredis'
import type { Health } from '../../../types/index.ts'
import { asUnavailable, type Connection, NO_CLUSTER } from './connection.ts'

/** The part of the engine that is asked. */
interface Asked {
  readonly connection: Connection
  readonly options: { readonly prefix: string }
}

/** @throws FST_ERR_BGT_QUEUE_UNAVAILABLE */
export async function healthOf (asked: Asked): Promise<Health> {
  try {
    return await ask(asked)
  } catch (error) {
    throw asUnavailable(error)
  }
}

async function ask ({ connection, options }: Asked): Promise<Health> {
  await connection.ready()
  const { client } = connection
  const settings = await settingsOf(client)
  const warnings = warningsOf(settings)
  if (isCluster(settings)) return { ok: false, warnings, error: NO_CLUSTER }
  const began = performance.now()
  // As jobs are stored: a replica, a server without room or one that cannot write to its disk refuses it.
  await client.set(`${options.prefix}:health`, '', 'PX', 1)
  return { ok: true, latency: performance.now() - began, warnings }
}

/** By INFO: hosted servers often have no CONFIG. */
export async function settingsOf (client: Redis): Promise<Map<string, string>> {
  const info = await client.info()
  return new Map(Array.from(info.matchAll(/^([^#:\s]+):(.*?)\r?$/gm), ([, key, value]) => [key!, value!]))
}

export function isCluster (settings: Map<string, string>): boolean {
  return settings.get('cluster_enabled') === '1'
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
