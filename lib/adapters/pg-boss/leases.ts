import type { PgBossDelivery } from './delivery.ts'
import type { Engine } from './engine.ts'
import { seconds } from './options.ts'

interface Renewed { id: string, isCancelled: boolean | null }
interface Rescued { id: string, task: string, state: 'retry' | 'failed' }

const NOT_RENEWED = 'the lease of running jobs could not be renewed, and is tried again'

/** Keeps the jobs that this worker runs, tells those that are to be cancelled, and takes those of dead workers. */
export class Leases {
  readonly #engine: Engine
  readonly #queue: string
  readonly #onRescue: () => void
  readonly #held = new Map<string, PgBossDelivery>()
  readonly #timer: NodeJS.Timeout
  #beating = false
  #renewAt = 0
  #rescueFrom = 0

  constructor (engine: Engine, queue: string, onRescue: () => void) {
    this.#engine = engine
    this.#queue = queue
    this.#onRescue = onRescue
    this.#timer = setInterval(() => { void this.#beat() }, engine.options.lease / 10)
  }

  hold (delivery: PgBossDelivery): void {
    const before = this.#held.get(delivery.job.id)
    // Somebody took it for that of a dead worker.
    if (before !== undefined) this.#lose(before)
    this.#held.set(delivery.job.id, delivery)
  }

  drop (delivery: PgBossDelivery): void {
    if (this.#held.get(delivery.job.id) === delivery) this.#held.delete(delivery.job.id)
  }

  cancel (id: string): void {
    this.#held.get(id)?.job.abort('cancelled')
  }

  stop (): void {
    clearInterval(this.#timer)
  }

  async #beat (): Promise<void> {
    if (this.#beating || !this.#engine.isReady) return
    this.#beating = true
    const { lease } = this.#engine.options
    try {
      const now = Date.now()
      if (now >= this.#renewAt) {
        await this.#renew()
        this.#renewAt = now + lease / 4
      }
      if (now >= this.#rescueFrom) await this.#rescue()
      this.#engine.cured(NOT_RENEWED, { queue: this.#queue })
    } catch (error) {
      this.#engine.trouble(error, NOT_RENEWED, { queue: this.#queue })
      // While the server was away nobody could renew: the others get the time to.
      this.#rescueFrom = Date.now() + lease
      this.#renewAt = 0
    }
    this.#beating = false
  }

  async #renew (): Promise<void> {
    const { database, options: { lease } } = this.#engine
    // The jobs that ended just now are being recorded, and two statements on the same jobs may wait for each other.
    const latest = Date.now() - lease / 4
    const held = [...this.#held.values()].filter(({ overAt = 0 }) => overAt < latest)
    if (held.length === 0) return
    const attempts = Object.fromEntries(held.map(({ job: { id }, retryCount }) => [id, retryCount]))
    const { renew } = this.#engine.statementsOf(this.#queue)
    const values = [this.#queue, Object.keys(attempts), JSON.stringify(attempts)]
    const { rows } = await database.query<Renewed>(renew, values)
    const kept = new Set(rows.map(({ id }) => id))
    // The message may have come before the job, or while nobody listened.
    for (const { id, isCancelled } of rows) if (isCancelled === true) this.cancel(id)
    for (const delivery of held) {
      if (!kept.has(delivery.job.id)) this.#lose(delivery)
    }
  }

  #lose (delivery: PgBossDelivery): void {
    if (delivery.overAt !== undefined) return
    this.drop(delivery)
    delivery.overAt = Date.now()
    delivery.end()
    delivery.job.abort('lost')
  }

  async #rescue (): Promise<void> {
    const { database, log, options: { retention, maxStalled } } = this.#engine
    const { rescue } = this.#engine.statementsOf(this.#queue)
    const { rows } = await database.query<Rescued>(rescue, [this.#queue, seconds(retention.failed)])
    for (const { id, task, state } of rows) {
      if (state === 'failed') log.givenUp({ queue: this.#queue, task, taskId: id }, maxStalled)
    }
    if (rows.length > 0) this.#onRescue()
  }
}
