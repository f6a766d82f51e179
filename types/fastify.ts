import type { BackgroundTasks, RequestBackgroundTasks } from './service.ts'

declare module 'fastify' {
  interface FastifyRequest {
    backgroundTasks: RequestBackgroundTasks
  }

  interface FastifyInstance {
    backgroundTasks: BackgroundTasks
  }
}
