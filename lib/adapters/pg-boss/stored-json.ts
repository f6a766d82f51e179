import { readJson } from '../kit/stored-json.ts'

/** A JSON value as a column of type `jsonb` takes it. */
export type StoredJson = { readonly value?: unknown } | { readonly json: string }

/** NUL and halves of surrogate pairs, which JavaScript and JSON have and PostgreSQL refuses. JSON escapes both. */
const refused = /\\u(?:0000|d[89a-f])/

export function toStored (value: unknown): StoredJson {
  const json = JSON.stringify(value)
  return json !== undefined && refused.test(json) ? { json } : { value }
}

/** Gives `undefined` for what cannot be read: other programs may have stored it. */
export function fromStored (stored: unknown): unknown {
  const { json, value } = Object(stored) as { json?: string, value?: unknown }
  return json === undefined ? value : readJson(json)
}
