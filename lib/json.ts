import { FST_ERR_BGT_INVALID_PAYLOAD, FST_ERR_BGT_PAYLOAD_TOO_LARGE } from './errors.ts'

/** JSON.stringify, and the parsers of some engines, end not far above it. */
const MAX_DEPTH = 500

/**
 * Refuses a payload that JSON would change, as it has to arrive as it was sent. Properties that are
 * `undefined` are dropped without complaint, as everywhere.
 *
 * Returns the bytes of its JSON.
 *
 * @throws FST_ERR_BGT_INVALID_PAYLOAD with the path of what is not JSON, FST_ERR_BGT_PAYLOAD_TOO_LARGE.
 */
export function checkJson (name: string, payload: unknown, maxPayload: number): number {
  if (payload === undefined) return 0
  // First the size, which costs a small part of the look at each value.
  const size = sizeOf(payload)
  if (size > maxPayload) throw new FST_ERR_BGT_PAYLOAD_TOO_LARGE(name, size, maxPayload)
  const problem = problemOf(payload, 'payload', new Set())
  if (problem !== undefined) throw new FST_ERR_BGT_INVALID_PAYLOAD(name, `${problem}. A queue keeps JSON`)
  return size
}

/** Bytes of JSON; 0 where there is none, of which the path is told elsewhere. */
function sizeOf (payload: unknown): number {
  try {
    return Buffer.byteLength(JSON.stringify(payload))
  } catch {
    return 0
  }
}

/**
 * The JSON of a value that a task gave, so that it may be kept. `undefined` for what JSON leaves out.
 *
 * @throws where there is no JSON for it, or more than `max` bytes.
 */
export function toJson (value: unknown, max: number): string | undefined {
  const json = JSON.stringify(value) as string | undefined
  if (json !== undefined && Buffer.byteLength(json) > max) {
    throw new RangeError(`it has more than ${max} bytes (maxPayload)`)
  }
  return json
}

/** Of what `toJson` has returned. */
export function fromJson (json: string | undefined): unknown {
  return json === undefined ? undefined : JSON.parse(json)
}

/** A copy by way of JSON. @throws as `toJson`. */
export function jsonCopy (value: unknown, max: number): unknown {
  return fromJson(toJson(value, max))
}

function problemOf (value: unknown, path: string, above: Set<object>): string | undefined {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : `${path} is ${value}`
  if (typeof value !== 'object') return `${path} is ${typeof value === 'undefined' ? '' : 'a '}${typeof value}`
  if (above.has(value)) return `${path} is part of itself`
  if (above.size === MAX_DEPTH) return `payload is nested more than ${MAX_DEPTH} levels deep`
  if (!isPlain(value)) return `${path} is ${kindOf(value)}`
  above.add(value)
  const parts = Array.isArray(value) ? value.entries() : Object.entries(value)
  for (const [key, part] of parts as Iterable<[string | number, unknown]>) {
    if (part === undefined && !Array.isArray(value)) continue
    const problem = problemOf(part, `${path}/${key}`, above)
    if (problem !== undefined) return problem
  }
  above.delete(value)
}

function kindOf (value: object): string {
  if (value instanceof Date) return 'a Date: pass its toISOString()'
  return `an instance of ${(value.constructor as Function | undefined)?.name}`
}

/** An array, or an object whose prototype is the root of its realm or nothing. */
function isPlain (value: object): boolean {
  if (Array.isArray(value)) return true
  const prototype = Object.getPrototypeOf(value) as object | null
  return prototype === null || Object.getPrototypeOf(prototype) === null
}
