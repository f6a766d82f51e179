import assert from 'node:assert/strict'
import type { Receipt } from '../../../../types/index.ts'

export function isSureRejection (error: unknown): boolean {
  assert.ok(error instanceof Error, 'it rejects with an Error')
  assert.ok(error.message !== '', 'the error has a message')
  assert.equal((error as Error & { ambiguous?: unknown }).ambiguous, false, 'error.ambiguous')
  return true
}

export function isStored (result: PromiseSettledResult<Receipt[]>): boolean {
  return result.status === 'fulfilled' && result.value[0]?.error === undefined
}

/** Whether it promises that the job was not stored. */
export function isSure (result: PromiseSettledResult<Receipt[]>): boolean {
  return result.status === 'fulfilled' || (result.reason as { ambiguous?: unknown } | undefined)?.ambiguous === false
}
