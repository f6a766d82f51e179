import { mock } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import type { Test } from 'tap'

/** Puts `setTimeout` into the hands of the test. `setImmediate` stays real: it starts tasks, and fake time must not stop that. */
export function fakeTimers (t: Test): typeof mock.timers {
  mock.timers.enable({ apis: ['setTimeout'] })
  t.teardown(() => mock.timers.reset())
  return mock.timers
}

/** Turns the fake clock on, second by second, until the promise is settled. */
export async function passTimeUntil<T> (promise: Promise<T>): Promise<T> {
  const seen = { settled: false }
  const mark = (): void => { seen.settled = true }
  promise.then(mark, mark)
  while (!seen.settled) {
    mock.timers.tick(1_000)
    await setImmediate()
  }
  return promise
}

/** Gives what is due in the event loop its turn. */
export async function turns (count = 20): Promise<void> {
  while (count-- > 0) await setImmediate()
}

/** A clock that stands still but for the test: `setTimeout`, `setInterval` and `performance.now`. */
export class FakeClock {
  #now = 0

  constructor (t: Test) {
    mock.timers.enable({ apis: ['setTimeout', 'setInterval'] })
    const { mock: now } = mock.method(performance, 'now', () => this.#now)
    t.teardown(() => {
      now.restore()
      mock.timers.reset()
    })
  }

  get now (): number {
    return this.#now
  }

  /** Lets time pass in steps, and whatever then runs come to its end. */
  async pass (ms: number, step = 50): Promise<void> {
    for (let left = ms; left > 0; left -= step) {
      this.#now += step
      mock.timers.tick(step)
      await turns()
    }
  }

  /** Lets time pass until the promise is settled. Resolves with the ms that took, or `limit` if it is not settled then. */
  async until (promise: Promise<unknown>, limit = 60_000): Promise<number> {
    const start = this.#now
    const seen = { settled: false }
    const mark = (): void => { seen.settled = true }
    promise.then(mark, mark)
    await turns()
    while (!seen.settled && this.#now - start < limit) await this.pass(50)
    return this.#now - start
  }
}
