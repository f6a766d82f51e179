/** `undefined` for what is not there, and for what cannot be parsed: others may have stored it. */
export function readJson (json: string | undefined): unknown {
  try {
    return json === undefined ? undefined : JSON.parse(json)
  } catch {
    return undefined
  }
}
