import type { BackgroundTasks, RequestBackgroundTasks } from './service.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /**
     * Tasks and jobs of this request. There from the plugin's own `onRequest` hook on.
     *
     * @throws FST_ERR_BGT_TOO_EARLY when an `onRequest` hook reads it that was added before the plugin.
     */
    backgroundTasks: RequestBackgroundTasks
  }

  interface FastifyInstance {
    /** Tasks and jobs without a request, and what there is to know of all of them. */
    backgroundTasks: BackgroundTasks
  }
}
