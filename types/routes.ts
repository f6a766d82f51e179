import type { FastifyRequest } from 'fastify'
import type { TaskHandle } from './outcome.ts'
import type { Enqueued, TaskInfo } from './service.ts'

export type RoutesOptions = Prefix & Exposure & (
  | { authorize: Authorize, public?: false }
  | { public: true, authorize?: never }
)

/**
 * Whether this request may see and cancel the task; anything but `true` answers 404, as for a task that
 * does not exist. What it throws goes to the application's error handler.
 */
export type Authorize = (request: FastifyRequest, info: TaskInfo) => boolean | Promise<boolean>

interface Prefix {
  /** Of both routes, below the prefix of the scope, without parameters. Default: none. */
  prefix?: string
}

interface Exposure {
  /** What is shown of a task. Default: all of it, with its result and the message of its error. */
  expose?: (info: TaskInfo, request: FastifyRequest) => TaskInfo | Promise<TaskInfo>
}

declare module 'fastify' {
  interface FastifyReply {
    /**
     * Answers 202 with `{ taskId }` and the `Location` at which the task's status is.
     *
     * @throws FST_ERR_BGT_INVALID_TASK for anything but what `enqueue` resolved with, or what `add`
     * returned for a defined task: of others there is no status.
     */
    accepted (task: TaskHandle | Pick<Enqueued, 'id'>): FastifyReply
  }
}
