import type { Delivery } from './delivery.ts'
import type { Engine } from './engine.ts'
import { seconds } from './options.ts'
import { unavailable } from './unavailable.ts'

/** Keeps the jobs that this worker runs, and takes those of dead workers. */
export class Lease {
  readonly #engine: Engine
  readonly #queue: string
  readonly #onRescue: () => void
  readonly #held = new Map<string, Delivery>()
  readonly #timer: NodeJS.Timeout
  #beating = false
  #renewAt = 0
  #rescueFrom = 0

  constructor (engine: Engine, queue: string, onRescue: () => void) {
    this.#engine = engine
    this.#queue = queue
    this.#onRescue = onRescue
    this.#timer = setInterval(() => { void this.#beat() }, engine.settings.lease / 10)
  }

  hold (delivery: Delivery): void {
    this.#held.set(delivery.id, delivery)
  }

  drop (delivery: Delivery): void {
    if (this.#held.get(delivery.id) === delivery) this.#held.delete(delivery.id)
  }

  abort (id: string, reason: Error): void {
    this.#held.get(id)?.abort(reason)
  }

  stop (): void {
    clearInterval(this.#timer)
  }

  async #beat (): Promise<void> {
    if (this.#beating || !this.#engine.isReady) return
    this.#beating = true
    const { journal, settings: { lease } } = this.#engine
    try {
      const now = Date.now()
      if (now >= this.#renewAt) {
        await this.#renew()
        this.#renewAt = now + lease / 4
      }
      if (now >= this.#rescueFrom) await this.#rescue()
    } catch (error) {
      journal.trouble(error, 'the lease of running jobs could not be renewed, and is tried again')
      // While the server was away nobody could renew: the others get the time to.
      this.#rescueFrom = Date.now() + lease
      this.#renewAt = 0
    }
    this.#beating = false
  }

  async #renew (): Promise<void> {
    const { boss, database: { soon }, settings: { lease } } = this.#engine
    // What ended just now is being recorded, and two statements on the same jobs may wait for each other.
    const latest = Date.now() - lease / 4
    const held = [...this.#held.values()].filter(({ overAt = 0 }) => overAt < latest)
    if (held.length === 0) return
    // pg-boss returns the ids it has touched without declaring them.
    const { settled } = await boss.touch(this.#queue, held.map(({ id, retryCount }) => ({ id, retryCount })), { db: soon }) as { settled: string[] }
    const kept = new Set(settled)
    for (const delivery of held) {
      if (kept.has(delivery.id) || delivery.overAt !== undefined) continue
      this.drop(delivery)
      delivery.overAt = Date.now()
      delivery.end()
      delivery.abort(unavailable('the lease of the job has run out, and it was given to another worker', true))
    }
  }

  async #rescue (): Promise<void> {
    const { database, journal, settings: { retention, maxStalled } } = this.#engine
    const { rescue } = this.#engine.statementsOf(this.#queue)
    const { rows } = await database.query<{ id: string, task: string, state: 'retry' | 'failed' }>(rescue, [this.#queue, seconds(retention.failed)])
    for (const { id, task, state } of rows) {
      if (state === 'failed') journal.givenUp(id, task, maxStalled)
    }
    if (rows.length > 0) this.#onRescue()
  }
}
