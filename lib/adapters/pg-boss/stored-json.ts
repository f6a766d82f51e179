/** A JSON value as a column of type `jsonb` takes it. */
export type StoredJson = { readonly value?: unknown } | { readonly json: string }

/** NUL and halves of surrogate pairs, which JavaScript and JSON have and PostgreSQL refuses. */
const refused = /\\u(?:0000|d[89ab])/

export function toStored (value: unknown): StoredJson {
  const json = JSON.stringify(value)
  return json !== undefined && refused.test(json) ? { json } : { value }
}

export function fromStored (stored: StoredJson): unknown {
  return 'json' in stored ? JSON.parse(stored.json) : (stored as { value?: unknown }).value
}
