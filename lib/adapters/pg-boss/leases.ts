import type { PgBossDelivery } from './delivery.ts'
import type { Engine } from './engine.ts'
import { seconds } from './options.ts'

interface Rescued { id: string, task: string, state: 'retry' | 'failed' }

/** Keeps the jobs that this worker runs, and takes those of dead workers. */
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
    } catch (error) {
      const message = 'the lease of running jobs could not be renewed, and is tried again'
      this.#engine.trouble(error, message, { queue: this.#queue })
      // While the server was away nobody could renew: the others get the time to.
      this.#rescueFrom = Date.now() + lease
      this.#renewAt = 0
    }
    this.#beating = false
  }

  async #renew (): Promise<void> {
    const { boss, database: { soon }, options: { lease } } = this.#engine
    // The jobs that ended just now are being recorded, and two statements on the same jobs may wait for each other.
    const latest = Date.now() - lease / 4
    const held = [...this.#held.values()].filter(({ overAt = 0 }) => overAt < latest)
    if (held.length === 0) return
    // pg-boss returns the ids it has touched without declaring them.
    const ids = held.map(({ job: { id }, retryCount }) => ({ id, retryCount }))
    const { settled } = await boss.touch(this.#queue, ids, { db: soon }) as { settled: string[] }
    const kept = new Set(settled)
    for (const delivery of held) {
      if (kept.has(delivery.job.id) || delivery.overAt !== undefined) continue
      this.drop(delivery)
      delivery.overAt = Date.now()
      delivery.end()
      delivery.job.abort('lost')
    }
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
