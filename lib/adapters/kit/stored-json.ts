/** The value of JSON in a store, or `undefined` where it cannot be read: other programs may have put it there. */
export function readJson (json: string | undefined): unknown {
  try {
    return json === undefined ? undefined : JSON.parse(json)
  } catch {
    return undefined
  }
}
