import { describe } from 'node:test'
import { cancel } from './conformance/cancel.ts'
import { close } from './conformance/close.ts'
import { delivery } from './conformance/delivery.ts'
import { enqueue } from './conformance/enqueue.ts'
import { faults } from './conformance/faults.ts'
import { lifecycle } from './conformance/lifecycle.ts'
import type { ConformanceOptions } from './conformance/options.ts'
import { schedules } from './conformance/schedules.ts'
import { status } from './conformance/status.ts'
import { transactions } from './conformance/transactions.ts'
import { verdicts } from './conformance/verdicts.ts'

export { holdJobs } from './conformance/faults.ts'
export type { ConformanceOptions, CreateOptions, Faults, Transaction } from './conformance/options.ts'

/**
 * Registers tests, for node:test, that hold a queue adapter to what `QueueAdapter` says. What an adapter
 * does not claim is tested for being refused or absent, or reported as skipped.
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
    void describe('cancel', () => cancel(options))
    void describe('close', () => close(options))
    void describe('transactions', () => transactions(options))
    void describe('schedules', () => schedules(options))
  })

  // Alone: what stops the server stops all tests.
  void describe(`${name} withstands faults`, { concurrency: 1 }, () => faults(options))
}
