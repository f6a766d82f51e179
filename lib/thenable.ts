export function isThenable (value: unknown): value is PromiseLike<unknown> {
  return value !== null && (typeof value === 'object' || typeof value === 'function') &&
    typeof (value as PromiseLike<unknown>).then === 'function'
}

/**
 * A promise of ours: those of others may have a `then`, `catch` or `constructor` of their own. It resolves with
 * nothing, as each promise that resolved with their value would read its `then` again, which may throw.
 */
export async function follow (thenable: PromiseLike<unknown>): Promise<void> {
  await thenable
}
