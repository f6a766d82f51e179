import { memory } from '../../lib/adapters/memory/index.ts'
import type { Capabilities, Consumer, EnqueueContext, Health, Job, JobInfo, QueueAdapter, Receipt, RunJob, StartOptions, WorkOptions } from '../../types/index.ts'

/** The memory adapter, which a test can make late, unwilling or silent. It notes each call of `enqueue`. */
export class UnrulyAdapter implements QueueAdapter {
  readonly name = 'unruly'
  readonly capabilities: Capabilities
  readonly native = undefined
  readonly calls: { jobs: readonly Job[], context: EnqueueContext | undefined }[] = []
  /** Called before jobs are stored: what it throws is the answer, what it returns is waited for. */
  before: (jobs: readonly Job[], context?: EnqueueContext) => unknown = () => {}
  /** The same for when they have been stored. */
  after: (jobs: readonly Job[]) => unknown = () => {}
  /** Called before a consumer closes, and before the adapter does. */
  beforeConsumerCloses: () => unknown = () => {}
  beforeClose: () => unknown = () => {}
  /** Jobs for which the receipt says that they are refused. */
  refuses: (job: Job) => Error | undefined = () => undefined
  readonly #memory = memory()

  constructor (capabilities: Partial<Capabilities> = {}) {
    this.capabilities = { ...this.#memory.capabilities, durable: true, ...capabilities }
  }

  start (options: StartOptions): Promise<void> {
    return this.#memory.start(options)
  }

  async enqueue (jobs: readonly Job[], context?: EnqueueContext): Promise<Receipt[]> {
    this.calls.push({ jobs, context })
    await this.before(jobs, context)
    const refused = new Map(jobs.map(job => [job.id, this.refuses(job)]))
    const stored = await this.#memory.enqueue(jobs.filter(({ id }) => refused.get(id) === undefined))
    await this.after(jobs)
    return jobs.map(({ id }) => {
      const error = refused.get(id)
      return error === undefined ? stored.find(receipt => receipt.id === id)! : { id, error }
    })
  }

  async work (queue: string, run: RunJob, options: WorkOptions): Promise<Consumer> {
    const consumer = await this.#memory.work(queue, run, options)
    return {
      close: async options => {
        await this.beforeConsumerCloses()
        await consumer.close(options)
      }
    }
  }

  status (id: string): Promise<JobInfo | null> {
    return this.#memory.status!(id)
  }

  cancel (id: string): Promise<'cancelled' | 'running' | 'finished' | 'not-found'> {
    return this.#memory.cancel!(id)
  }

  health (): Promise<Health> {
    return this.#memory.health()
  }

  async close (): Promise<void> {
    await this.beforeClose()
    await this.#memory.close()
  }
}
