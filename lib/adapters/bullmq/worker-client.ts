import type { IRedisClient } from 'bullmq'
import type { Redis } from 'ioredis'
import type { Observer } from './connection.ts'
import type { Bullmq } from './queues.ts'

/** The client of one Worker, which makes a second one of it to block on. */
export class WorkerClient {
  readonly client: IRedisClient
  readonly #blocking: Redis[] = []

  constructor (bullmq: Bullmq, redis: Redis, { report }: Pick<Observer, 'report'>) {
    const duplicate: IRedisClient['duplicate'] = options => {
      const blocking = redis.duplicate(options)
      blocking.on('error', report)
      this.#blocking.push(blocking)
      return bullmq.createIORedisClient(blocking)
    }
    this.client = new Proxy(bullmq.createIORedisClient(redis), {
      get: (target, key) => key === 'duplicate' ? duplicate : Reflect.get(target, key) as unknown
    })
  }

  /** For good. A Worker that is closed while its server is away may connect again later, without an error listener. */
  close (): void {
    for (const blocking of this.#blocking) {
      blocking.connect = () => Promise.reject(new Error('Connection is closed.'))
      blocking.disconnect()
    }
  }
}
