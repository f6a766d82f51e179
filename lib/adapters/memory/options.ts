import { Type } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import { check, type Checker } from '../../check.ts'
import { retentionDefaults, retentionSchema, type RetentionOptions } from '../kit/retention.ts'
import type { MemoryStore } from './engine.ts'

export interface MemoryOptions {
  /** `native` of another memory adapter, to use the same queue. Its limits then hold. Default: a store of its own. */
  store?: MemoryStore
  retention?: RetentionOptions
  /** Jobs that have not ended, 1 or more; those above are refused. Default 100,000. */
  maxPending?: number
  /** Jobs that have ended, 1 or more; the oldest are forgotten first. Default 10,000. */
  maxEnded?: number
}

export interface ResolvedOptions {
  readonly store: MemoryStore | undefined
  readonly retention: Required<RetentionOptions>
  readonly maxPending: number
  readonly maxEnded: number
}

const checker: Checker = TypeCompiler.Compile(Type.Object({
  store: Type.Optional(Type.Unsafe<MemoryStore>(Type.Object({}))),
  retention: Type.Optional(retentionSchema),
  maxPending: Type.Optional(Type.Integer({ minimum: 1 })),
  maxEnded: Type.Optional(Type.Integer({ minimum: 1 }))
}, { additionalProperties: false }))

/** @throws FST_ERR_BGT_INVALID_OPTIONS */
export function resolveOptions (given: MemoryOptions): ResolvedOptions {
  check(checker, 'options', given)
  const { store, retention, maxPending = 100_000, maxEnded = 10_000 } = given
  return { store, retention: { ...retentionDefaults, ...retention }, maxPending, maxEnded }
}
