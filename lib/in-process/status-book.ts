import type { JobError, Outcome, TaskInfo } from '../../types/index.ts'
import { describeFailure } from '../failure.ts'
import { jsonCopy } from '../json.ts'
import type { AddedTask } from './added-task.ts'

interface Open {
  readonly task: AddedTask
  readonly enqueuedAt: number
  startedAt: number | undefined
  progress: unknown
  error: JobError | undefined
}

interface Limits {
  readonly status: { readonly max: number, readonly ttl: number }
  readonly maxPayload: number
}

/** The tasks of this process whose id somebody has read, for `status`: until their end, and for a while after it. */
export class StatusBook {
  readonly #open = new Map<string, Open>()
  /** In the order in which they ended. */
  readonly #ended = new Map<string, TaskInfo & { endedAt: number }>()
  readonly #max: number
  readonly #ttl: number
  readonly #maxPayload: number

  constructor ({ status: { max, ttl }, maxPayload }: Limits) {
    this.#max = max
    this.#ttl = ttl
    this.#maxPayload = maxPayload
  }

  /** Called when the id of a defined task is read for the first time: nobody asks for one that nobody knows. */
  add (task: AddedTask): void {
    const now = Date.now()
    const startedAt = task.state === 'running' ? now : undefined
    this.#open.set(task.id, { task, enqueuedAt: now, startedAt, progress: undefined, error: undefined })
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
    if (entry !== undefined) entry.error = describeFailure(error)
  }

  /** @throws where it cannot be kept. */
  progress ({ id }: AddedTask, value: unknown): void {
    const entry = this.#open.get(id)
    if (entry !== undefined) entry.progress = jsonCopy(value, this.#maxPayload)
  }

  task (id: string): AddedTask | undefined {
    return this.#open.get(id)?.task
  }

  /** `undefined` for a task that was never known here, is forgotten, or has gone to the queue. */
  get (id: string): TaskInfo | undefined {
    const open = this.#open.get(id)
    if (open !== undefined) return describe(open)
    this.#forget()
    return this.#ended.get(id)
  }

  #end (task: AddedTask): void {
    const { id, outcome } = task
    const info = describe(this.#open.get(id)!)
    this.#open.delete(id)
    if (outcome!.state === 'escalated') return
    const result = outcome!.state === 'completed' ? this.#keepable(outcome!.result) : undefined
    this.#ended.set(id, { ...info, ...(result !== undefined && { result }), endedAt: Date.now() })
    this.#forget()
  }

  /** Makes a copy, as a live object would change later, and keep alive what it refers to. */
  #keepable (result: unknown): unknown {
    try {
      return jsonCopy(result, this.#maxPayload)
    } catch {
      // Few tasks return something to be shown, so most results that are no JSON are nobody's fault.
      return undefined
    }
  }

  #forget (): void {
    const limit = Date.now() - this.#ttl
    for (const [id, { endedAt }] of this.#ended) {
      if (this.#ended.size <= this.#max && endedAt >= limit) break
      this.#ended.delete(id)
    }
  }
}

function describe ({ task, enqueuedAt, startedAt, progress, error: earlier }: Open): TaskInfo {
  const { id, name, state, attempt, outcome, settings: { owner } } = task
  const error = outcome === undefined ? earlier : errorOf(outcome)
  return {
    id,
    task: name,
    state,
    attempts: attempt,
    ...(progress !== undefined && { progress }),
    ...(error !== undefined && { error }),
    ...(owner !== undefined && { owner }),
    enqueuedAt,
    ...(startedAt !== undefined && { startedAt })
  }
}

/** Of an earlier attempt it is gone by then. */
function errorOf (outcome: Outcome): JobError | undefined {
  return 'error' in outcome ? describeFailure(outcome.error) : undefined
}
