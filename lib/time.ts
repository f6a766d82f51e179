/** Whether a promise, which must not reject, resolves within `ms`. */
export async function within (ms: number, promise: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<false>(resolve => { timer = setTimeout(resolve, ms, false) })
  const inTime = await Promise.race([promise.then(() => true), late])
  clearTimeout(timer)
  return inTime
}

/** Settles as `call` does, or rejects `ms` later. The signal that `call` is given then aborts. */
export async function withDeadline<T> (ms: number, call: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      const error = new NoAnswer(ms)
      controller.abort(error)
      reject(error)
    }, ms)
  })
  try {
    return await Promise.race([call(controller.signal), late])
  } finally {
    clearTimeout(timer)
  }
}

/** A time that several steps share. */
export class Deadline {
  readonly #at: number

  /** @param ms from now */
  constructor (ms: number) {
    this.#at = performance.now() + ms
  }

  /** ms that are left, but for those that are kept for later steps. */
  left (kept = 0): number {
    return Math.max(this.#at - performance.now() - kept, 0)
  }
}

export class NoAnswer extends Error {
  constructor (ms: number, what = 'answer') {
    super(`no ${what} within ${ms} ms`)
  }
}
