/** The value of JSON in a store, or `undefined` where it cannot be read: other programs may have put it there. */
export function readJson (json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    return undefined
  }
}
