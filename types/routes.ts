import type { FastifyInstance, FastifyReply, FastifyRequest, HookHandlerDoneFunction } from 'fastify'
import type { TaskHandle } from './outcome.ts'
import type { Enqueued, TaskInfo } from './service.ts'

/**
 * Options of `fastify-background-tasks/routes`. Either `authorize` or `public: true` has to be given: both
 * or neither is FST_ERR_BGT_INVALID_OPTIONS, when the routes are registered.
 */
export type RoutesOptions = Prefix & Authentication & Exposure & (
  /** `authorize` decides for each request. */
  | { authorize: Authorize, public?: false }
  /**
   * Anybody who has an id, and whom `authenticate` lets pass, may see and cancel its task. An id of a job with a
   * `key` can be computed from that.
   */
  | { public: true, authorize?: never }
)

/** What a request is to do with a task: `GET` and `HEAD` view it, `DELETE` cancels it. */
export type RouteAction = 'view' | 'cancel'

/**
 * Says whether this request may do that with the task; anything but `true` answers 404, as for a task that does not
 * exist. So does an error, which is logged: what has to be read or may fail belongs into `authenticate`. Compare
 * `info.owner` with what is never `undefined`, as a task without an owner has none.
 */
export type Authorize = (request: FastifyRequest, info: TaskInfo, action: RouteAction) => boolean | Promise<boolean>

/** An `onRequest` hook: asynchronous, or one that calls `done`. */
export type Authenticate = (
  this: FastifyInstance, request: FastifyRequest, reply: FastifyReply, done: HookHandlerDoneFunction
) => unknown

interface Authentication {
  /**
   * An `onRequest` hook, or several, as of any route: it throws, or sends an answer, to refuse. It runs before a task
   * is looked up, so that those whom it refuses learn nothing of it and cost the queue nothing. Default: none, the
   * hooks of the scope alone.
   */
  authenticate?: Authenticate | Authenticate[]
  /**
   * How many tasks these routes look up at once in this process, whole number from 1. More is the 503
   * FST_ERR_BGT_TOO_MANY_LOOKUPS at once, so that a flood of made-up ids does not take the connections by which
   * leases are renewed. Default 100.
   */
  maxLookups?: number
}

interface Prefix {
  /**
   * The path of the routes, below the prefix of the scope. Default: none. One with parameters is
   * FST_ERR_BGT_INVALID_OPTIONS, as `reply.accepted` could not name it.
   */
  prefix?: string
}

interface Exposure {
  /**
   * Returns what is shown of a task. Default: all of it but the owner, which is never shown, with its result and the
   * message of its error, which may carry addresses, queries and names.
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
