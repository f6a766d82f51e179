import type { ActiveJob, CloseOptions, Consumer, JobVerdict, RunJob, WorkOptions } from '../../../types/index.ts'
import { FST_ERR_BGT_CANCELLED, FST_ERR_BGT_STALLED } from '../../errors.ts'
import { within } from '../../time.ts'
import { type Claimed, type Entry, toEntry } from './leases.ts'
import type { Pump } from './pump.ts'
import { unavailable } from './unavailable.ts'

/** A job that is being run here. */
export class Run {
  readonly job: Claimed
  readonly consumer: SqliteConsumer
  readonly #controller = new AbortController()
  /** To be recorded. */
  entry: Entry | undefined

  constructor (job: Claimed, consumer: SqliteConsumer) {
    this.job = job
    this.consumer = consumer
  }

  get signal (): AbortSignal {
    return this.#controller.signal
  }

  cancel (): void {
    this.#controller.abort(new FST_ERR_BGT_CANCELLED(this.job.task))
  }

  lose (): void {
    this.#controller.abort(unavailable(`this worker has lost the job ${this.job.id}, which goes to another`, false))
  }
}

/** The jobs of one queue that run in this process. */
export class SqliteConsumer implements Consumer {
  readonly queue: string
  readonly runs: Set<Run> = new Set()
  readonly #run: RunJob
  readonly #concurrency: number
  readonly #pump: Pump
  readonly #emptied: Promise<void>
  #onEmpty!: () => void
  #closed = false

  constructor (queue: string, run: RunJob, { concurrency }: WorkOptions, pump: Pump) {
    this.queue = queue
    this.#run = run
    this.#concurrency = concurrency
    this.#pump = pump
    this.#emptied = new Promise(resolve => { this.#onEmpty = resolve })
  }

  get closed (): boolean {
    return this.#closed
  }

  /** How many more jobs may start once those that have ended are recorded. */
  get room (): number {
    if (this.#closed) return 0
    let room = this.#concurrency - this.runs.size
    for (const { entry } of this.runs) if (entry !== undefined) room++
    return room
  }

  deliver (job: Claimed): void {
    const run = new Run(job, this)
    this.runs.add(run)
    void this.#settle(run)
  }

  forget (run: Run): void {
    this.runs.delete(run)
    if (this.#closed && this.runs.size === 0) this.#onEmpty()
  }

  async close ({ grace }: CloseOptions = {}): Promise<void> {
    this.#closed = true
    if (this.runs.size > 0) {
      if (grace === undefined) await this.#emptied
      else if (!await within(grace, this.#emptied)) await this.#pump.giveBack(this)
    }
    this.#pump.remove(this)
  }

  async #settle (run: Run): Promise<void> {
    const verdict = run.job.exhausted ? this.#giveUp(run.job) : await this.#run(this.#activeJob(run))
    if (!this.runs.has(run)) return
    run.entry = toEntry(verdict)
    this.#pump.wake()
  }

  #giveUp ({ task, stalls }: Claimed): JobVerdict {
    return { state: 'failed', error: new FST_ERR_BGT_STALLED(task, stalls) }
  }

  #activeJob (run: Run): ActiveJob {
    const { id, task, data, attempt } = run.job
    const progress = (value: unknown): Promise<void> => this.#pump.progress(run, value)
    return { id, queue: this.queue, task, data, attempt, signal: run.signal, progress }
  }
}
