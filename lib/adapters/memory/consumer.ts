// Taken here, so that a test's fake timers hold up delays but never the delivery of a job.
import { setImmediate } from 'node:timers'
import type { CloseOptions, Consumer, JobData, RunJob, WorkOptions } from '../../../types/index.ts'
import { within } from '../../time.ts'
import type { StoredJob } from './job.ts'
import type { MemoryStore, Waiter } from './store.ts'
import { unavailable } from './unavailable.ts'

/** Takes the jobs of one queue from the store, as many at once as it may. */
export class MemoryConsumer implements Consumer, Waiter {
  readonly #store: MemoryStore
  readonly #queue: string
  readonly #run: RunJob
  readonly #concurrency: number
  readonly #active = new Map<StoredJob, { run: AbortController, settled: Promise<void> }>()
  #awake = false
  #closed = false

  constructor (store: MemoryStore, queue: string, run: RunJob, { concurrency }: WorkOptions) {
    this.#store = store
    this.#queue = queue
    this.#run = run
    this.#concurrency = concurrency
    store.waiters.add(this)
    this.wake()
  }

  /** A turn later, so that jobs stored in the same turn are taken by priority. */
  wake (): void {
    if (this.#awake) return
    this.#awake = true
    setImmediate(() => this.#fill())
  }

  async close ({ grace }: CloseOptions = {}): Promise<void> {
    this.#closed = true
    this.#store.waiters.delete(this)
    const settled = Promise.all([...this.#active.values()].map(({ settled }) => settled))
    if (grace === undefined) await settled
    else if (!await within(grace, settled)) this.#giveBack()
  }

  #fill (): void {
    this.#awake = false
    while (!this.#closed && this.#active.size < this.#concurrency) {
      const job = this.#store.take(this.#queue)
      if (job === undefined) return
      const run = job.run!
      this.#active.set(job, { run, settled: this.#deliver(job, run) })
    }
  }

  async #deliver (job: StoredJob, run: AbortController): Promise<void> {
    const { queue, task, info: { id, attempts } } = job
    const verdict = await this.#run({
      id,
      queue,
      task,
      data: JSON.parse(job.data) as JobData,
      attempt: attempts,
      signal: run.signal,
      progress: value => Promise.resolve(this.#store.progress(job, run, value))
    })
    this.#store.settle(job, run, verdict)
    this.#active.delete(job)
    this.wake()
  }

  #giveBack (): void {
    const reason = unavailable('the worker has closed, and the job goes to another', false)
    for (const [job, { run }] of this.#active) this.#store.takeBack(job, run, reason)
    this.#active.clear()
  }
}
