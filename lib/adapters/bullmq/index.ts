import type { QueueAdapter } from '../../../types/index.ts'
import { BullmqAdapter, type BullmqNative } from './adapter.ts'
import { type BullmqOptions, resolveOptions } from './options.ts'

export type { BullmqNative, BullmqOptions }

/**
 * Jobs in Redis 6.2 or later, by BullMQ 5 (from 5.81.5) or 6 and ioredis 5 (from 5.3) or 6. Not in a Redis Cluster.
 *
 * Durable as far as Redis is: with `appendonly yes` and `maxmemory-policy noeviction`, which `health` looks
 * at. It fails fast while Redis is away, and goes on by itself when it is back.
 *
 * @throws FST_ERR_BGT_INVALID_OPTIONS
 */
export function bullmq (options: BullmqOptions): QueueAdapter<BullmqNative> {
  return new BullmqAdapter(resolveOptions(options))
}
