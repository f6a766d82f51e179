import type { FastifyRequest } from 'fastify'
import type { TaskHandle } from './outcome.ts'
import type { Enqueued, TaskInfo } from './service.ts'

/**
 * Options of `fastify-background-tasks/routes`. Either `authorize` or `public: true` has to be given: both
 * or neither is FST_ERR_BGT_INVALID_OPTIONS, when the routes are registered.
 */
export type RoutesOptions = Prefix & Exposure & (
  /** `authorize` decides for each request. */
  | { authorize: Authorize, public?: false }
  /** Anybody who has an id may see and cancel its task. An id of a job with a `key` can be computed from that. */
  | { public: true, authorize?: never }
)

/**
 * Says whether this request may see and cancel the task; anything but `true` answers 404, as for a task
 * that does not exist. An error that it throws goes to the application's error handler.
 */
export type Authorize = (request: FastifyRequest, info: TaskInfo) => boolean | Promise<boolean>

interface Prefix {
  /**
   * The path of the routes, below the prefix of the scope. Default: none. One with parameters is
   * FST_ERR_BGT_INVALID_OPTIONS, as `reply.accepted` could not name it.
   */
  prefix?: string
}

interface Exposure {
  /**
   * Returns what is shown of a task. Default: all of it, with its result and the message of its error,
   * which may carry addresses, queries and names.
   */
  expose?: (info: TaskInfo, request: FastifyRequest) => TaskInfo | Promise<TaskInfo>
}

declare module 'fastify' {
  interface FastifyReply {
    /**
     * Answers 202 with `{ taskId }` and the `Location` at which the task's status is. There once the routes
     * are registered.
     *
     * @throws FST_ERR_BGT_INVALID_TASK for anything but what `enqueue` resolved with, or what `add`
     * returned for a defined task: other tasks have no status.
     */
    accepted (task: TaskHandle | Pick<Enqueued, 'id'>): FastifyReply
  }
}
