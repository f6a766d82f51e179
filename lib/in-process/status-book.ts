import type { TaskInfo } from '../../types/index.ts'
import { describeFailure, type Failure } from '../failure.ts'
import { jsonCopy } from '../json.ts'
import type { ResolvedOptions } from '../options.ts'
import type { Handle } from '../run/handle.ts'

interface Open {
  readonly handle: Handle
  readonly enqueuedAt: number
  startedAt: number | undefined
  progress: unknown
  error: Failure | undefined
}

/** What `status` knows of this process's tasks: those whose id somebody has read, and for a while after their end. */
export class StatusBook {
  readonly #open = new Map<string, Open>()
  /** In the order in which they ended. */
  readonly #ended = new Map<string, TaskInfo & { endedAt: number }>()
  readonly #max: number
  readonly #ttl: number
  readonly #maxPayload: number

  constructor ({ status: { max, ttl }, maxPayload }: Pick<ResolvedOptions, 'status' | 'maxPayload'>) {
    this.#max = max
    this.#ttl = ttl
    this.#maxPayload = maxPayload
  }

  /** Called when the id of a defined task is read for the first time: nobody asks for one that nobody knows. */
  add (handle: Handle): void {
    const now = Date.now()
    const startedAt = handle.state === 'running' ? now : undefined
    this.#open.set(handle.id, { handle, enqueuedAt: now, startedAt, progress: undefined, error: undefined })
    void handle.settled.then(() => this.#end(handle))
  }

  /** Called for each attempt, of tasks whose id was read before. */
  started ({ id }: Handle): void {
    const entry = this.#open.get(id)
    if (entry !== undefined) entry.startedAt = Date.now()
  }

  /** Called when another attempt is to follow. */
  failed ({ id }: Handle, error: Error): void {
    const entry = this.#open.get(id)
    if (entry !== undefined) entry.error = describeFailure(error)
  }

  progress ({ id, name, lane }: Handle, value: unknown): void {
    const entry = this.#open.get(id)
    if (entry === undefined) return
    try {
      entry.progress = jsonCopy(value, this.#maxPayload)
    } catch (err) {
      lane.log.warn({ err, task: name, taskId: id }, 'background task progress was not kept')
    }
  }

  handle (id: string): Handle | undefined {
    return this.#open.get(id)?.handle
  }

  /** `undefined` for a task that was never known here, is forgotten, or has gone to the queue. */
  get (id: string): TaskInfo | undefined {
    const open = this.#open.get(id)
    if (open !== undefined) return describe(open)
    this.#forget()
    return this.#ended.get(id)
  }

  #end (handle: Handle): void {
    const { id, outcome } = handle
    const info = describe(this.#open.get(id)!)
    this.#open.delete(id)
    if (outcome!.state === 'escalated') return
    const result = outcome!.state === 'completed' ? this.#keepable(outcome!.result) : undefined
    this.#ended.set(id, { ...info, ...(result !== undefined && { result }), endedAt: Date.now() })
    this.#forget()
  }

  /** A live object would be shown as it is later, and keep alive what it refers to. */
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

function describe ({ handle: { id, name, state, attempt, outcome }, enqueuedAt, startedAt, progress, error: earlier }: Open): TaskInfo {
  const error = outcome !== undefined && 'error' in outcome ? describeFailure(outcome.error) : earlier
  return {
    id,
    task: name,
    state,
    attempts: attempt,
    ...(progress !== undefined && { progress }),
    ...(error !== undefined && { error }),
    enqueuedAt,
    ...(startedAt !== undefined && { startedAt })
  }
}
