import type { JobVerdict } from '../../../types/index.ts'
import { WakeUp } from '../kit/wake-up.ts'
import type { PgBossDelivery } from './delivery.ts'
import type { Engine } from './engine.ts'
import { failureOutput } from './job-row.ts'
import { type ResolvedOptions, seconds } from './options.ts'
import type { Settlement } from './statements.ts'
import { toStored } from './stored-json.ts'

const NOT_RECORDED = 'what became of a job could not be recorded, and is tried again'
const RETRY = 250

type Settled = Omit<Settlement, 'id' | 'retry_count'>

/** A verdict, or `given-back`, which is none. */
export type Recorded = JobVerdict | { readonly state: 'given-back', readonly begun: boolean }

interface Entry {
  readonly row: Settlement
  readonly settled: () => void
}

/**
 * Records the verdicts on the jobs of a queue: all that ended while one statement was under way go with the
 * next. A server that does not answer is asked again, as recording twice does no harm.
 */
export class Verdicts {
  readonly #engine: Engine
  readonly #queue: string
  readonly #wakeUp = new WakeUp()
  #waiting: Entry[] = []
  #flushing = false
  #deadline = Infinity

  constructor (engine: Engine, queue: string) {
    this.#engine = engine
    this.#queue = queue
  }

  /** Never rejects. */
  record ({ job: { id }, retryCount }: PgBossDelivery, verdict: Recorded): Promise<void> {
    const row = { id, retry_count: retryCount, ...this.#settle(verdict, retryCount) }
    return new Promise(resolve => {
      this.#waiting.push({ row, settled: resolve })
      if (!this.#flushing) void this.#flush()
    })
  }

  /** From now on a server that does not answer is asked for so many ms only. */
  hurry (ms: number): void {
    this.#deadline = Math.min(this.#deadline, Date.now() + ms)
    this.#wakeUp.wake()
  }

  #settle (verdict: Recorded, retryCount: number): Settled {
    const { options } = this.#engine
    try {
      return settledAs(verdict, retryCount, options)
    } catch (error) {
      this.#engine.trouble(error, 'the result of a job is no JSON, and is not kept', { queue: this.#queue })
      return settledAs({ state: 'completed', result: undefined }, retryCount, options)
    }
  }

  async #flush (): Promise<void> {
    this.#flushing = true
    // A turn later, so that jobs that end together are recorded together.
    await new Promise(resolve => setImmediate(resolve))
    while (this.#waiting.length > 0) {
      const entries = this.#waiting
      this.#waiting = []
      await this.#write(entries)
    }
    this.#flushing = false
  }

  async #write (entries: Entry[]): Promise<void> {
    const { database } = this.#engine
    const { settle } = this.#engine.statementsOf(this.#queue)
    const rows = entries.map(({ row }) => row)
    for (;;) {
      try {
        const byId = Object.fromEntries(rows.map(row => [row.id, row]))
        await database.query(settle, [this.#queue, Object.keys(byId), JSON.stringify(byId)])
        await this.#bury(rows)
        this.#engine.cured(NOT_RECORDED, { queue: this.#queue })
        break
      } catch (error) {
        if (isTooMuch(error) && entries.length > 1) return this.#writeHalves(entries)
        this.#engine.trouble(error, NOT_RECORDED, { queue: this.#queue })
        if (isTooMuch(error)) rows[0] = { ...rows[0]!, result: {} }
        if (Date.now() >= this.#deadline) break
        await this.#wakeUp.sleep(RETRY)
      }
    }
    for (const { settled } of entries) settled()
  }

  /** One bad result costs the others some statements more, and not one each. */
  async #writeHalves (entries: Entry[]): Promise<void> {
    const half = entries.length >> 1
    await this.#write(entries.slice(0, half))
    await this.#write(entries.slice(half))
  }

  /** pg-boss copies a job to the dead letter queue when it fails it without retries left. */
  async #bury (rows: Settlement[]): Promise<void> {
    const { boss, database: { soon } } = this.#engine
    for (const { state, id, retry_count: retryCount, result } of rows) {
      if (state === 'active') await boss.fail(this.#queue, { id, retryCount }, result, { db: soon })
    }
  }
}

/** Errors about the data (class 22) or a limit of the server (54): the job is recorded without it. */
function isTooMuch (error: unknown): boolean {
  return /^(?:22|54)/.test((error as { code: string }).code)
}

function settledAs (verdict: Recorded, retryCount: number, options: ResolvedOptions): Settled {
  const { maxStalled, retention, queueOptions } = options
  const ended = { delay: null, counted: true, retry_limit: retryCount, deletion_seconds: seconds(retention.completed) }
  const failed = { ...ended, deletion_seconds: seconds(retention.failed) }
  switch (verdict.state) {
    case 'completed':
      if (verdict.result === undefined) return { ...ended, state: 'completed', result: {} }
      return { ...ended, state: 'completed', result: { result: toStored(verdict.result) } }
    case 'cancelled':
      return { ...ended, state: 'cancelled', result: failureOutput(verdict.error) }
    case 'failed':
      return {
        ...failed,
        // pg-boss itself fails a job with a dead letter queue.
        state: queueOptions?.deadLetter === undefined ? 'failed' : 'active',
        result: failureOutput(verdict.error)
      }
    case 'retrying':
      return {
        ...failed,
        state: 'retry',
        delay: verdict.delay,
        retry_limit: retryCount + maxStalled,
        result: failureOutput(verdict.error)
      }
    case 'postponed':
      return { ...failed, ...again(retryCount, maxStalled), delay: verdict.delay, result: failureOutput(verdict.error) }
    case 'given-back':
      if (verdict.begun) {
        return { ...failed, state: 'retry', delay: 0, retry_limit: retryCount + maxStalled, result: {} }
      }
      return { ...failed, ...again(retryCount, maxStalled), delay: 0, result: {} }
  }
}

/** To be fetched again as the same attempt. */
function again (retryCount: number, maxStalled: number): Pick<Settled, 'state' | 'counted' | 'retry_limit'> {
  return { state: retryCount === 0 ? 'created' : 'retry', counted: false, retry_limit: retryCount + maxStalled - 1 }
}
