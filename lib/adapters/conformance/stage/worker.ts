import type { ActiveJob, Consumer, JobVerdict, RunJob } from '../../../../types/index.ts'
import { soon } from './event.ts'
import { completed } from './verdict.ts'

/** A run under way. It ends when the test says so. */
export class Delivery {
  readonly job: ActiveJob
  /** ms since 1970 */
  readonly at: number = Date.now()
  /** Whether its signal was aborted from the start. */
  readonly aborted: boolean
  readonly verdict: Promise<JobVerdict>
  readonly end: (verdict: JobVerdict) => void

  constructor (job: ActiveJob) {
    this.job = job
    this.aborted = job.signal.aborted
    let resolve!: (verdict: JobVerdict) => void
    this.verdict = new Promise(_resolve => { resolve = _resolve })
    this.end = resolve
  }
}

/** Decides at once how a run ends. */
export type Decide = (job: ActiveJob) => JobVerdict

/** Takes jobs, and lets the test wait for them in the order in which they came. */
export class Worker {
  readonly deliveries: Delivery[] = []
  running = 0
  /** The most that ever ran at once. */
  peak = 0
  consumer!: Consumer
  readonly #timeout: number
  #decide: Decide | undefined
  /** Deliveries that `next` and `take` have returned. */
  taken = 0
  #arrived!: Promise<void>
  #arrive!: () => void

  constructor (timeout: number, decide?: Decide) {
    this.#timeout = timeout
    this.#decide = decide
    this.#expect()
  }

  readonly run: RunJob = async job => {
    const delivery = new Delivery(job)
    this.deliveries.push(delivery)
    this.peak = Math.max(this.peak, ++this.running)
    this.#arrive()
    this.#expect()
    if (this.#decide !== undefined) {
      // A turn later, so that runs overlap as those of tasks do.
      await new Promise(resolve => setImmediate(resolve))
      delivery.end(this.#decide(job))
    }
    const verdict = await delivery.verdict
    this.running--
    return verdict
  }

  get ids (): string[] {
    return this.deliveries.map(({ job }) => job.id)
  }

  /** The first delivery that no call has returned yet. */
  async next (): Promise<Delivery> {
    const index = this.taken++
    while (this.deliveries.length <= index) {
      await soon(this.#arrived, this.#timeout, `delivery ${index + 1} of ${index} seen`)
    }
    return this.deliveries[index]!
  }

  async take (count: number): Promise<Delivery[]> {
    const taken: Delivery[] = []
    while (taken.length < count) taken.push(await this.next())
    return taken
  }

  /** Whether it was given the job of each id. */
  has (...ids: string[]): boolean {
    return ids.every(id => this.ids.includes(id))
  }

  /** From now on completes all runs, those to come too. */
  release (): this {
    this.#decide ??= () => completed()
    for (const delivery of this.deliveries) delivery.end(completed())
    return this
  }

  #expect (): void {
    this.#arrived = new Promise(resolve => { this.#arrive = resolve })
  }
}
