import type { QueueAdapter } from '../../../types/index.ts'
import { MemoryAdapter } from './adapter.ts'
import type { MemoryStore } from './engine.ts'
import { type MemoryOptions, resolveOptions } from './options.ts'

export type { RetentionOptions } from '../kit/retention.ts'
export type { MemoryOptions, MemoryStore }

/**
 * A queue in this process, for tests and for reading. What it holds is lost with the process.
 *
 * @throws FST_ERR_BGT_INVALID_OPTIONS
 */
export function memory (options: MemoryOptions = {}): QueueAdapter<MemoryStore> {
  return new MemoryAdapter(resolveOptions(options))
}
