import type { EscalationCause } from '../../types/index.ts'
import { checkJson } from '../json.ts'
import type { ResolvedOptions, TaskSettings } from '../options.ts'
import { injectHeaders, makeData, makeJob, type Origin } from '../queue/job.ts'
import type { Producer } from '../queue/producer.ts'
import type { Handle } from '../run/handle.ts'
import type { Lane } from './lane.ts'

/** The way from this process into the queue, for tasks that were to run here. */
export class Escalation {
  readonly #producer: Producer
  readonly #options: ResolvedOptions
  readonly #headers = new WeakMap<Lane, Origin['headers']>()

  constructor (producer: Producer, options: ResolvedOptions) {
    this.#producer = producer
    this.#options = options
  }

  wants ({ task }: TaskSettings, cause: EscalationCause): boolean {
    if (task === undefined) return false
    return task.escalate.includes(cause) || (cause === 'overflow' && this.#options.overflow === 'escalate')
  }

  /** Keeps what a job says of the request, as tasks must not hold that itself. */
  remember (lane: Lane, request: Origin): void {
    if (!this.#headers.has(lane)) this.#headers.set(lane, injectHeaders(request))
  }

  /** Stores the task as a job of the same id. Rejects as `enqueue`. */
  async handOver (handle: Handle): Promise<void> {
    const { settings, payload, id, lane } = handle
    const origin = { requestId: lane.requestId, headers: this.#headers.get(lane) }
    const task = settings.task!
    checkJson(task.name, payload, this.#options.maxPayload)
    const data = handle.runInAsyncScope(() => makeData(task, payload, origin, this.#options.trace))
    await this.#producer.send(makeJob(id, { task, settings }, data))
  }
}
