import { describe } from 'node:test'
import { bounds } from './chapters/bounds.ts'
import { cancel } from './chapters/cancel.ts'
import { close } from './chapters/close.ts'
import { delivery } from './chapters/delivery.ts'
import { enqueue } from './chapters/enqueue.ts'
import { faults } from './chapters/faults.ts'
import { foreign } from './chapters/foreign.ts'
import { lifecycle } from './chapters/lifecycle.ts'
import { schedules } from './chapters/schedules.ts'
import { status } from './chapters/status.ts'
import { transactions } from './chapters/transactions.ts'
import { verdicts } from './chapters/verdicts.ts'
import { wishes } from './chapters/wishes.ts'
import type { ConformanceOptions } from './options.ts'

export { holdJobs } from './chapters/faults.ts'
export type { ConformanceOptions, CreateOptions, Faults, Transaction } from './options.ts'

/**
 * Registers tests, for node:test, that hold a queue adapter to what `QueueAdapter` says. A capability that the
 * adapter does not claim is tested for being refused or absent, or reported as skipped.
 *
 * Run the file that calls it with `node --test`, and release in an `after` hook what `create` uses.
 */
export function conformance (options: ConformanceOptions): void {
  const { name, concurrency = 1 } = options

  void describe(`${name} conforms`, { concurrency }, () => {
    void describe('lifecycle', () => lifecycle(options))
    void describe('enqueue', () => enqueue(options))
    void describe('delivery', () => delivery(options))
    void describe('verdicts', () => verdicts(options))
    void describe('status', () => status(options))
    void describe('bounds', () => bounds(options))
    void describe('cancel', () => cancel(options))
    void describe('wishes to cancel', () => wishes(options))
    void describe('close', () => close(options))
    void describe('foreign jobs', () => foreign(options))
    void describe('transactions', () => transactions(options))
    void describe('schedules', () => schedules(options))
  })

  // Alone, as a fault of the server concerns all tests.
  void describe(`${name} withstands faults`, { concurrency: 1 }, () => faults(options))
}
