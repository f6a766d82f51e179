import { type MakeUnavailable, type Unavailable, unavailableOf } from '../../unavailable.ts'

export type { Unavailable }

export const unavailable: MakeUnavailable = unavailableOf('pg-boss')

/**
 * Whether the server itself says that it did not carry a statement out. Of its errors those of a lost
 * connection (class 08), of a shutdown (57P) and "completion unknown" (40003) do not say so: they also
 * come when a commit has been made and not yet been told.
 */
export function isRefusal (error: unknown): boolean {
  const { code, severity } = error as { code?: unknown, severity?: unknown }
  return typeof severity === 'string' && typeof code === 'string' && !/^(?:08|57P|40003)/.test(code)
}
