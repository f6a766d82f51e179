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
export async function turns (count = 5): Promise<void> {
  while (count-- > 0) await setImmediate()
}
