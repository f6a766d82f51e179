import type { JobError, Outcome, TaskInfo } from '../../types/index.ts'
import { describeFailure } from '../failure.ts'
import { fromJson, toJson } from '../json.ts'
import type { AddedTask } from './added-task.ts'

/** Characters of progress, results and error messages that the book holds at the most. */
const CAPACITY = 64 * 1_048_576

/** The parts that may be large. As JSON they are small, have a known size, and cannot be changed by who asks. */
interface Kept {
  progress: string | undefined
  result: string | undefined
  error: JobError | undefined
}

interface Open extends Kept {
  readonly task: AddedTask
  readonly enqueuedAt: number
  startedAt: number | undefined
}

interface Ended extends Kept {
  readonly info: TaskInfo
  readonly endedAt: number
}

interface Limits {
  readonly status: { readonly max: number, readonly ttl: number }
  readonly maxPayload: number
}

/** The tasks of this process whose id somebody has read, for `status`: until their end, and for a while after it. */
export class StatusBook {
  readonly #open = new Map<string, Open>()
  /** In the order in which they ended. */
  readonly #ended = new Map<string, Ended>()
  readonly #max: number
  readonly #ttl: number
  readonly #maxPayload: number
  /** Characters, of all that is kept. */
  #size = 0

  constructor ({ status: { max, ttl }, maxPayload }: Limits) {
    this.#max = max
    this.#ttl = ttl
    this.#maxPayload = maxPayload
  }

  /** Called when the id of a defined task is read for the first time: nobody asks for one that nobody knows. */
  add (task: AddedTask): void {
    const now = Date.now()
    const startedAt = task.state === 'running' ? now : undefined
    this.#open.set(task.id, {
      task, enqueuedAt: now, startedAt, progress: undefined, result: undefined, error: undefined
    })
    void task.settled.then(() => this.#end(task))
  }

  /** Called for each attempt, of tasks whose id was read before. */
  started ({ id }: AddedTask): void {
    const entry = this.#open.get(id)
    if (entry !== undefined) entry.startedAt = Date.now()
  }

  /** Called when another attempt is to follow. */
  failed ({ id }: AddedTask, error: Error): void {
    const entry = this.#open.get(id)
    if (entry !== undefined) this.#keep(entry, { error: this.#describe(error) })
  }

  /** @throws where it cannot be kept: the value before is then gone as well. */
  progress ({ id }: AddedTask, value: unknown): void {
    const entry = this.#open.get(id)
    if (entry === undefined) return
    this.#keep(entry, { progress: toJson(value, this.#maxPayload) })
    if (this.#size <= CAPACITY) return
    this.#keep(entry, { progress: undefined })
    throw new RangeError(`the progress of tasks under way has ${CAPACITY} characters already`)
  }

  task (id: string): AddedTask | undefined {
    return this.#open.get(id)?.task
  }

  /** `undefined` for a task that was never known here, is forgotten, or has gone to the queue. */
  get (id: string): TaskInfo | undefined {
    const open = this.#open.get(id)
    if (open !== undefined) {
      const { task: { outcome }, progress, error } = open
      return toInfo(describe(open), { progress, result: undefined, error: outcome ? this.#errorOf(outcome) : error })
    }
    this.#forget()
    const ended = this.#ended.get(id)
    return ended && toInfo(ended.info, ended)
  }

  #end (task: AddedTask): void {
    const { id, outcome } = task
    const entry = this.#open.get(id)!
    this.#open.delete(id)
    if (outcome!.state === 'escalated') return this.#keep(entry, { progress: undefined, error: undefined })
    const result = outcome!.state === 'completed' ? this.#keepable(outcome!.result) : undefined
    const { progress } = entry
    const ended = { info: describe(entry), endedAt: Date.now(), progress, result: undefined, error: entry.error }
    this.#ended.set(id, ended)
    this.#keep(ended, { result, error: this.#errorOf(outcome!) })
  }

  /** Makes a copy, as a live object would change later, and keep alive what it refers to. */
  #keepable (result: unknown): string | undefined {
    try {
      return toJson(result, this.#maxPayload)
    } catch {
      // Few tasks return something to be shown, so most results that are no JSON are nobody's fault.
      return undefined
    }
  }

  /** Of an earlier attempt it is gone by then. */
  #errorOf (outcome: Outcome): JobError | undefined {
    return 'error' in outcome ? this.#describe(outcome.error) : undefined
  }

  #describe (error: Error): JobError {
    return describeFailure(error, this.#maxPayload)
  }

  #keep (entry: Kept, change: Partial<Kept>): void {
    this.#size -= sizeOf(entry)
    Object.assign(entry, change)
    this.#size += sizeOf(entry)
    this.#forget()
  }

  #forget (): void {
    const limit = Date.now() - this.#ttl
    for (const [id, entry] of this.#ended) {
      if (this.#ended.size <= this.#max && this.#size <= CAPACITY && entry.endedAt >= limit) break
      this.#size -= sizeOf(entry)
      this.#ended.delete(id)
    }
  }
}

function sizeOf ({ progress = '', result = '', error }: Kept): number {
  return progress.length + result.length + (error === undefined ? 0 : error.message.length)
}

function describe ({ task, enqueuedAt, startedAt }: Open): TaskInfo {
  const { id, name, state, attempt, settings: { owner } } = task
  return {
    id,
    task: name,
    state,
    attempts: attempt,
    ...(owner !== undefined && { owner }),
    enqueuedAt,
    ...(startedAt !== undefined && { startedAt })
  }
}

function toInfo (info: TaskInfo, { progress, result, error, endedAt }: Kept & { endedAt?: number }): TaskInfo {
  return {
    ...info,
    ...(progress !== undefined && { progress: fromJson(progress) }),
    ...(result !== undefined && { result: fromJson(result) }),
    ...(error !== undefined && { error }),
    ...(endedAt !== undefined && { endedAt })
  }
}
