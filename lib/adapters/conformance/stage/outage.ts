import assert from 'node:assert/strict'
import type { Job, QueueAdapter } from '../../../../types/index.ts'
import type { Faults } from '../options.ts'
import { pause, soon } from './event.ts'
import type { Stage } from './stage.ts'

const LANES = 8

type Answer = 'acknowledged' | 'refused' | 'unsure'

/** A time in which the server does not answer. */
export class Outage {
  readonly kind: 'is down' | 'hangs'
  readonly deadline: number
  readonly recovery: number
  readonly #begin: () => Promise<void>
  readonly #end: () => Promise<void>
  #on = false

  constructor (kind: Outage['kind'], begin: () => Promise<void>, end: () => Promise<void>, faults: Faults) {
    const { deadline = 5_000, recovery = 60_000 } = faults
    this.kind = kind
    this.deadline = deadline
    this.recovery = recovery
    this.#begin = begin
    this.#end = end
  }

  async begin (): Promise<void> {
    this.#on = true
    await this.#begin()
  }

  async end (): Promise<void> {
    if (!this.#on) return
    this.#on = false
    await this.#end()
  }
}

export function outages (faults: Faults): Outage[] {
  const { stop, start, freeze, thaw } = faults
  const kinds: Outage[] = []
  if (stop !== undefined && start !== undefined) kinds.push(new Outage('is down', stop, start, faults))
  if (freeze !== undefined && thaw !== undefined) kinds.push(new Outage('hangs', freeze, thaw, faults))
  return kinds
}

/** Sends jobs, in good times and bad, and keeps the books of the answers. */
export class Producer {
  readonly answers: Record<Answer, Map<string, Job>> = {
    acknowledged: new Map(),
    refused: new Map(),
    unsure: new Map()
  }

  /** How often the answer for an id was unsure. */
  readonly #doubts = new Map<string, number>()
  readonly #stage: Stage
  readonly #adapter: QueueAdapter
  readonly #outage: Outage

  constructor (stage: Stage, adapter: QueueAdapter, outage: Outage) {
    this.#stage = stage
    this.#adapter = adapter
    this.#outage = outage
  }

  async send (job: Job): Promise<Answer> {
    const answer = await this.#ask(job)
    for (const jobs of Object.values(this.answers)) jobs.delete(job.id)
    this.answers[answer].set(job.id, job)
    if (answer === 'unsure') this.#doubts.set(job.id, this.#doubtsOf(job.id) + 1)
    return answer
  }

  /** How many jobs are stored of an id that was acknowledged: of one that was sent again, perhaps several. */
  mayCome (id: string): number {
    return this.#adapter.capabilities.dedupe ? 1 : 1 + this.#doubtsOf(id)
  }

  #doubtsOf (id: string): number {
    return this.#doubts.get(id) ?? 0
  }

  /** Sends one after the other on each lane, until it has seen enough. */
  async load (enough: () => boolean): Promise<void> {
    await Promise.all(Array.from({ length: LANES }, async () => {
      while (!enough()) {
        if (await this.send(this.#stage.job()) !== 'acknowledged') await pause()
        // An engine in this process may answer without giving the event loop a turn.
        await new Promise(resolve => setImmediate(resolve))
      }
    }))
  }

  /** Sends the jobs again, under the same ids, that may or may not have been stored, until they surely have been. */
  async settle (): Promise<void> {
    for (const job of [...this.answers.unsure.values()]) await this.acknowledge(job)
  }

  /** Sends a job until it is acknowledged. */
  async acknowledge (job: Job): Promise<void> {
    const isAcknowledged = async (): Promise<boolean> => await this.send(job) === 'acknowledged'
    await this.#stage.found(isAcknowledged, 'acknowledgement', this.#outage.recovery)
  }

  async #ask (job: Job): Promise<Answer> {
    // The time of an answer is bounded by the contract, not by the patience of the test.
    const settled = Promise.allSettled([this.#adapter.enqueue([job])])
    const [result] = await soon(settled, this.#outage.deadline, 'an answer of enqueue')
    const error: unknown = result.status === 'rejected' ? result.reason : result.value[0]?.error
    if (error === undefined) return 'acknowledged'
    assert.ok(error instanceof Error, 'enqueue rejects with an Error')
    return (error as Error & { ambiguous?: unknown }).ambiguous === false ? 'refused' : 'unsure'
  }
}
