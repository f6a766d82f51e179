import type { CloseOptions, Consumer, JobVerdict, RunJob, WorkOptions } from '../../../types/index.ts'
import { FST_ERR_BGT_STALLED } from '../../errors.ts'
import { endInTime } from '../kit/closing.ts'
import { SqliteDelivery } from './delivery.ts'
import type { Claimed } from './leases.ts'
import type { Pump, Served } from './pump.ts'
import type { Sweeper } from './retention.ts'
import { toEntry } from './verdicts.ts'

/** The jobs of one queue that run in this process. */
export class SqliteConsumer implements Consumer, Served {
  readonly queue: string
  readonly deliveries: Set<SqliteDelivery> = new Set()
  readonly #pump: Pump
  readonly #run: RunJob
  readonly #concurrency: number
  readonly #emptied: Promise<void>
  #onEmpty!: () => void
  #closed = false

  constructor (engine: { pump: Pump, sweeper: Sweeper }, queue: string, run: RunJob, { concurrency }: WorkOptions) {
    this.queue = queue
    this.#pump = engine.pump
    this.#run = run
    this.#concurrency = concurrency
    this.#emptied = new Promise(resolve => { this.#onEmpty = resolve })
    engine.pump.add(this)
    engine.sweeper.start()
  }

  get closed (): boolean {
    return this.#closed
  }

  get room (): number {
    if (this.#closed) return 0
    let room = this.#concurrency - this.deliveries.size
    for (const { entry } of this.deliveries) if (entry !== undefined) room++
    return room
  }

  deliver (lease: Claimed): void {
    const delivery = new SqliteDelivery(this.queue, lease, (delivery, value) => this.#pump.progress(delivery, value))
    this.deliveries.add(delivery)
    void this.#settle(delivery)
  }

  forget (deliveries: Iterable<SqliteDelivery>): void {
    for (const delivery of deliveries) this.deliveries.delete(delivery)
    if (this.#closed && this.deliveries.size === 0) this.#onEmpty()
  }

  async close ({ grace }: CloseOptions = {}): Promise<void> {
    this.#closed = true
    if (this.deliveries.size > 0 && !await endInTime(this.#emptied, grace)) await this.#pump.giveBack(this)
    this.#pump.remove(this)
  }

  async #settle (delivery: SqliteDelivery): Promise<void> {
    const { lease, job } = delivery
    const verdict = lease.exhausted ? giveUp(lease) : await this.#run(job)
    if (!this.deliveries.has(delivery)) return
    delivery.entry = toEntry(verdict)
    this.#pump.wake()
  }
}

function giveUp ({ task, stalls }: Claimed): JobVerdict {
  return { state: 'failed', error: new FST_ERR_BGT_STALLED(task, stalls) }
}
