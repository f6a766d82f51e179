import type { QueueAdapter } from '../../../types/index.ts'

export interface ConformanceOptions {
  /** Of the adapter, for the report. */
  name: string
  /**
   * Makes an adapter that was not started. All those of one run use one store: two of them are two
   * processes, as far as they know. The suite starts and closes them, and uses queues with names of its own.
   */
  create (options: CreateOptions): QueueAdapter | Promise<QueueAdapter>
  /** ms that anything which has to happen may take. Default 10,000. */
  timeout?: number
  /** Tests under way at once. Default 1. */
  concurrency?: number
  /** Whose `cancel` aborts the signal of a running job: of every adapter, of the one that runs it, or of none. Default `every`. */
  cancelRunning?: 'every' | 'own' | 'none'
  /** `false` for an adapter that takes no `retention` in `create`: then what it forgets is not tested. Default `true`. */
  retention?: boolean
  /** Begins a transaction that `enqueue` takes as `tx`. Without it, a transactional adapter is tested without transactions. */
  begin? (): Promise<Transaction>
  /** Ways to disturb the adapter's server. Without them, faults are not tested. */
  faults?: Faults
}

/** What a test asks of an adapter that it creates. */
export interface CreateOptions {
  retention?: { completed: number, failed: number }
  /** ms after which the job of a worker that has fallen silent goes to another. */
  lease?: number
}

export interface Transaction {
  readonly tx: unknown
  commit (): Promise<void>
  rollback (): Promise<void>
}

/** Each is optional, and what lacks its ways is reported as skipped. All resolve once it has happened. */
export interface Faults {
  /** Kills the server, as SIGKILL does. */
  stop? (): Promise<void>
  /** Starts it again, with what it has stored. */
  start? (): Promise<void>
  /** Suspends the server, as SIGSTOP does: connections stay, answers do not come. */
  freeze? (): Promise<void>
  thaw? (): Promise<void>
  /** Starts a process that calls `holdJobs` on this queue, waits until it holds one, and kills it. */
  killWorker? (queue: string): Promise<void>
  /** ms within which `enqueue` rejects, whatever the server does. Default 5,000. */
  deadline?: number
  /** ms until connections are back and leases have ended, on top of the timeout. Default 60,000. */
  recovery?: number
}
