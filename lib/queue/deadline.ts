/**
 * Calls something with a signal that aborts `ms` later. Rejects then at the latest, whatever it does.
 */
export async function withDeadline<T> (ms: number, call: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      const error = noAnswer(ms)
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

export function noAnswer (ms: number): Error {
  return new Error(`no answer within ${ms} ms`)
}
