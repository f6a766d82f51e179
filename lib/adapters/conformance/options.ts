import type { QueueAdapter } from '../../../types/index.ts'

export interface ConformanceOptions {
  /** The adapter's name, for the report. */
  name: string
  /**
   * Makes an adapter that was not started. All adapters of one run use one store: two of them are two
   * processes, as far as they know. The suite starts and closes them, and uses queues with names of its own.
   */
  create (options: CreateOptions): QueueAdapter | Promise<QueueAdapter>
  /** ms to wait for anything that has to happen. Default 10,000. */
  timeout?: number
  /** Tests under way at once. Default 1. */
  concurrency?: number
  /** `false` for an adapter whose `cancel` does not reach the worker of a running job: not tested. Default `true`. */
  cancelRunning?: boolean
  /** `false` for an adapter that takes no `retention` in `create`: its forgetting is not tested. Default `true`. */
  retention?: boolean
  /** Begins a transaction that `enqueue` takes as `tx`. Without it, transactions are not tested. */
  begin? (): Promise<Transaction>
  /** Ways to disturb the adapter's server. Without them, faults are not tested. */
  faults?: Faults
}

/** Options for an adapter that a test creates. */
export interface CreateOptions {
  retention?: { completed: number, failed: number }
  /** ms after which the job of a worker that has fallen silent goes to another. */
  lease?: number
  /** Workers in a row that a job may kill, before it ends as `failed`. */
  maxStalled?: number
}

export interface Transaction {
  readonly tx: unknown
  commit (): Promise<void>
  rollback (): Promise<void>
}

/** Ways to disturb a server. Each is optional: tests that need one which is not there are reported as skipped. */
export interface Faults {
  /** Kills the server, as SIGKILL does. */
  stop? (): Promise<void>
  /** Starts it again, with what it has stored. */
  start? (): Promise<void>
  /** Suspends the server, as SIGSTOP does: connections stay, answers do not come. */
  freeze? (): Promise<void>
  thaw? (): Promise<void>
  /**
   * Starts a process that calls `holdJobs` on this queue, waits until it holds one, and kills it. Its adapter is to
   * have a lease of about 1,000 ms, and `maxStalled: 2` where there is such an option, for the tests to be short.
   */
  killWorker? (queue: string): Promise<void>
  /**
   * Stores jobs in this queue that the adapter would not store: without data, with data that is `null`, of another
   * form, or cannot be parsed, as far as the store takes them; as other programs, or hands, may do. Resolves with
   * their ids. They are to be due now, and to come before those that are stored later.
   */
  plant? (queue: string): Promise<string[]>
  /** ms within which `enqueue` rejects, whatever the server does. Default 5,000. */
  deadline?: number
  /** ms until connections are back and leases have ended, on top of the timeout. Default 60,000. */
  recovery?: number
}
