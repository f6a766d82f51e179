import { createHash } from 'node:crypto'

/** Whether it is a UUID as we make them, in lower case. PostgreSQL compares a uuid column with no other text. */
export function isUuid (id: string): boolean {
  return /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/.test(id)
}

/**
 * Makes the same UUID of the same parts. JSON keeps them apart, whatever is in them: the first says what the others
 * are, so that a key never makes the id of something else. Version 8 is for UUIDs made in ways of one's own.
 */
export function keyedId (kind: 'key' | 'schedule', ...parts: readonly unknown[]): string {
  const bytes = createHash('sha256').update(JSON.stringify([kind, ...parts])).digest().subarray(0, 16)
  bytes[6] = (bytes[6]! & 0x0f) | 0x80
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}
