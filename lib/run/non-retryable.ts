/** Thrown by a task to say that another attempt would fail too: there is none, in process or in a worker. */
export class NonRetryableError extends Error {
  override readonly name = 'NonRetryableError'
}

/** By name and code, so that another installed copy of this package is understood. */
export function isRetryable (error: Error & { code?: unknown }): boolean {
  try {
    return error.name !== 'NonRetryableError' && error.code !== 'FST_ERR_BGT_INVALID_PAYLOAD'
  } catch {
    return true
  }
}
