import type { Cancellation, Job, JobData, JobVerdict, Receipt } from '../../../types/index.ts'
import { MAX_TIMER } from '../../check.ts'
import { FST_ERR_BGT_CANCELLED, FST_ERR_BGT_OVERFLOW } from '../../errors.ts'
import { describeFailure } from '../../failure.ts'
import { jsonCopy } from '../../json.ts'
import { type MakeUnavailable, unavailableOf } from '../../unavailable.ts'
import { Delivery } from '../kit/delivery.ts'
import { StoredJob } from './job.ts'

export const unavailable: MakeUnavailable = unavailableOf('memory')

const HIGHEST = 100

export interface StoreLimits {
  readonly retention: { readonly completed: number, readonly failed: number }
  readonly maxPending: number
  readonly maxEnded: number
}

/** Waits for the jobs of one queue. */
export interface Waiter {
  wake (): void
}

/** In place of a queue's server: keeps the jobs, and says whose turn it is. */
export class MemoryStore {
  readonly #limits: StoreLimits
  readonly #jobs = new Map<string, StoredJob>()
  /** In the order in which they ended. */
  readonly #ended = new Set<StoredJob>()
  /** Per queue a line for each priority, the highest first. */
  readonly #lines = new Map<string, Set<StoredJob>[]>()
  readonly waiters: Set<Waiter> = new Set<Waiter>()

  constructor (limits: StoreLimits) {
    this.#limits = limits
  }

  add (job: Job): Receipt {
    const { id, task, delay } = job
    const { maxPending } = this.#limits
    if (this.find(id) !== undefined) return { id, deduplicated: true }
    if (this.#jobs.size - this.#ended.size >= maxPending) {
      return { id, error: new FST_ERR_BGT_OVERFLOW(task, maxPending, maxPending) }
    }
    const stored = new StoredJob(job)
    this.#jobs.set(id, stored)
    this.#wait(stored, 'scheduled', delay)
    return { id }
  }

  find (id: string): StoredJob | undefined {
    const job = this.#jobs.get(id)
    if (job === undefined || !this.#isOver(job)) return job
    this.#forget(job)
    return undefined
  }

  cancel (id: string): Cancellation {
    const job = this.find(id)
    if (job === undefined) return 'not-found'
    if (job.info.endedAt !== undefined) return 'finished'
    if (job.delivery !== undefined) {
      job.cancelled = true
      job.delivery.abort('cancelled')
      return 'running'
    }
    clearTimeout(job.timer)
    this.#lineOf(job).delete(job)
    job.info.error = describeFailure(new FST_ERR_BGT_CANCELLED(job.task))
    this.#end(job, 'cancelled')
    return 'cancelled'
  }

  /** The next job of the queue, which from now on is running. */
  take (queue: string): Delivery | undefined {
    for (const line of this.#linesOf(queue)) {
      const [job] = line
      if (job === undefined) continue
      line.delete(job)
      job.info.state = 'running'
      job.info.attempts++
      job.info.startedAt = Date.now()
      job.delivery = this.#deliver(job)
      if (job.cancelled) job.delivery.abort('cancelled')
      return job.delivery
    }
    return undefined
  }

  /** Records what came of a run, unless the job was taken back from it. */
  settle (delivery: Delivery, verdict: JobVerdict): void {
    const job = this.#heldBy(delivery)
    if (job === undefined) return
    job.delivery = undefined
    if (verdict.state !== 'completed') job.info.error = describeFailure(verdict.error)
    switch (verdict.state) {
      case 'retrying':
        return this.#wait(job, 'retrying', verdict.delay)
      case 'postponed':
        job.info.attempts--
        return this.#wait(job, 'scheduled', verdict.delay)
      case 'completed':
        job.info.result = jsonCopy(verdict.result, Infinity)
        delete job.info.error
    }
    this.#end(job, verdict.state)
  }

  /** Takes a job from a worker that has closed, and gives it to the next. */
  takeBack (delivery: Delivery): void {
    const job = this.#heldBy(delivery)
    if (job === undefined) return
    job.delivery = undefined
    this.#line(job)
  }

  /** Forgets everything. */
  close (): void {
    for (const { timer } of this.#jobs.values()) clearTimeout(timer)
    this.#jobs.clear()
    this.#ended.clear()
    this.#lines.clear()
  }

  #deliver ({ queue, task, data, info }: StoredJob): Delivery {
    const { id, attempts: attempt } = info
    const progress = async (value: unknown): Promise<void> => {
      if (this.#heldBy(delivery) !== undefined) info.progress = jsonCopy(value, Infinity)
    }
    const delivered = { id, queue, task, data: JSON.parse(data) as JobData, attempt, progress }
    const delivery = new Delivery(delivered, unavailable)
    return delivery
  }

  /** The job, unless this delivery has lost it. */
  #heldBy (delivery: Delivery): StoredJob | undefined {
    const job = this.#jobs.get(delivery.id)
    return job?.delivery === delivery ? job : undefined
  }

  #wait (job: StoredJob, state: 'scheduled' | 'retrying', delay: number): void {
    if (delay <= 0) return this.#line(job)
    const wait = Math.min(delay, MAX_TIMER)
    job.info.state = state
    job.timer = setTimeout(() => this.#wait(job, state, delay - wait), wait)
  }

  #line (job: StoredJob): void {
    job.info.state = 'pending'
    this.#lineOf(job).add(job)
    for (const waiter of this.waiters) waiter.wake()
  }

  #lineOf ({ queue, priority }: StoredJob): Set<StoredJob> {
    return this.#linesOf(queue)[HIGHEST - priority]!
  }

  #linesOf (queue: string): Set<StoredJob>[] {
    let lines = this.#lines.get(queue)
    if (lines === undefined) {
      lines = Array.from({ length: HIGHEST }, () => new Set<StoredJob>())
      this.#lines.set(queue, lines)
    }
    return lines
  }

  #end (job: StoredJob, state: 'completed' | 'failed' | 'cancelled'): void {
    job.info.state = state
    job.info.endedAt = Date.now()
    this.#ended.add(job)
    const [oldest] = this.#ended
    if (this.#ended.size > this.#limits.maxEnded) this.#forget(oldest!)
  }

  #isOver ({ info: { state, endedAt } }: StoredJob): boolean {
    const { completed, failed } = this.#limits.retention
    return endedAt !== undefined && Date.now() - endedAt >= (state === 'failed' ? failed : completed)
  }

  #forget (job: StoredJob): void {
    this.#jobs.delete(job.info.id)
    this.#ended.delete(job)
  }
}
