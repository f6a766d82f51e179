import { randomUUID } from 'node:crypto'
import type { Job, RetryOptions, Task, TracePropagation } from '../../types/index.ts'
import { checkJson } from '../json.ts'
import type { TaskSettings } from '../task/settings.ts'
import { keyedId } from '../uuid.ts'
import { boundTrace, type Headers, injectHeaders } from './trace.ts'

/** The request that a job comes from, if there is one. */
export interface Origin {
  readonly requestId?: string | undefined
  readonly headers?: Headers | undefined
}

interface JobOptions {
  /** Default: it follows from `key`, or is a new one. */
  readonly id?: string
  readonly key?: string | readonly string[]
  readonly owner?: string | undefined
  /** ms */
  readonly delay?: number
  readonly priority?: number
}

interface Rules {
  /** Bytes of JSON. */
  readonly maxPayload: number
  readonly trace: TracePropagation | undefined
}

/** Characters of a request's id, which a client may have chosen. */
const MAX_REQUEST_ID = 128

const ONCE: Required<RetryOptions> = { attempts: 1, delay: 0, backoff: 'fixed', maxDelay: 0, jitter: 0 }

/** Makes jobs of tasks and payloads. */
export class Jobs {
  readonly #maxPayload: number
  readonly #inject: (origin: Origin) => Record<string, string>

  constructor ({ maxPayload, trace }: Rules) {
    this.#maxPayload = maxPayload
    this.#inject = trace?.inject ?? injectHeaders
  }

  /**
   * Checks that a queue can keep the payload, and returns the bytes of its JSON.
   *
   * @throws FST_ERR_BGT_INVALID_PAYLOAD, FST_ERR_BGT_PAYLOAD_TOO_LARGE
   */
  check (task: Task, payload: unknown): number {
    return checkJson(task.name, payload, this.#maxPayload)
  }

  /** The settings are of a defined task, and the payload has been checked. */
  make (settings: TaskSettings, payload: unknown, { requestId, headers }: Origin, options: JobOptions = {}): Job {
    const task = settings.task!
    const { key, owner, delay = 0, priority = task.priority } = options
    const { id = key === undefined ? randomUUID() : keyedId('key', task.name, key) } = options
    const trace = boundTrace(this.#inject({ requestId, headers }))
    return {
      id,
      queue: task.queue,
      task: task.name,
      data: {
        payload,
        version: task.version,
        enqueuedAt: Date.now(),
        ...(delay > 0 && { delay }),
        ...(isKeepable(requestId) && { requestId }),
        ...(Object.keys(trace).length > 0 && { trace }),
        ...(owner !== undefined && { owner })
      },
      delay,
      priority,
      retry: settings.retry ?? ONCE
    }
  }
}

/** `genReqId` may make anything of it. */
function isKeepable (requestId: unknown): requestId is string {
  return typeof requestId === 'string' && requestId.length <= MAX_REQUEST_ID
}
