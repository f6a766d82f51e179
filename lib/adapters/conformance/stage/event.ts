/** ms between two looks at something that does not tell when it changes. */
const INTERVAL = 20

/** ms that clocks and timers may be early. */
export const EARLY = 20

export type Found<T> = T | undefined | false

/** Settles as the promise does, or rejects when that takes too long. */
export async function soon<T> (promise: Promise<T>, timeout: number, what: string): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${timeout} ms`)), timeout)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Asks the probe again and again, and returns the first thing that it finds. Rejects when that takes too long. */
export async function found<T> (probe: () => Promise<Found<T>> | Found<T>, timeout: number, what: string): Promise<T> {
  const end = Date.now() + timeout
  while (true) {
    const thing: Found<T> = await soon(Promise.resolve(probe()), timeout, what)
    if (thing !== undefined && thing !== false) return thing
    if (Date.now() >= end) throw new Error(`${what}: not within ${timeout} ms`)
    await pause()
  }
}

/** Gives the other side a moment before it is asked again. */
export async function pause (): Promise<void> {
  await new Promise(resolve => setTimeout(resolve, INTERVAL))
}
