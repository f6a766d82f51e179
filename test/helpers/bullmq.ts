import { QueueEvents } from 'bullmq'
import { Redis } from 'ioredis'
import { pino } from 'pino'
import type { Test } from 'tap'
import { bullmq, type BullmqNative, type BullmqOptions } from '../../lib/adapters/bullmq/index.ts'
import type { ActiveJob, JobVerdict, QueueAdapter } from '../../types/index.ts'
import { completed } from './job.ts'
import { latch } from './latch.ts'
import { LogLines } from './log-lines.ts'

export interface Started {
  readonly adapter: QueueAdapter<BullmqNative>
  readonly log: LogLines
}

/** Started, and closed with the test. Its queue is `mail`. */
export async function startBullmq (t: Test, options: BullmqOptions): Promise<Started> {
  const log = new LogLines('trace')
  const adapter = bullmq(options)
  t.teardown(() => adapter.close({ grace: 0 }))
  await adapter.start({ queues: ['mail'], log: pino({ level: 'trace' }, log.logger.stream) })
  return { adapter, log }
}

/** Counts how often each job ran, and tells when a number of different ones has. */
export class Runs {
  readonly byId = new Map<string, number>()
  #wanted: { count: number, open: () => void } | undefined = undefined

  readonly run = ({ id }: ActiveJob): Promise<JobVerdict> => {
    this.byId.set(id, (this.byId.get(id) ?? 0) + 1)
    if (this.byId.size === this.#wanted?.count) this.#wanted.open()
    return Promise.resolve(completed)
  }

  async of (count: number): Promise<void> {
    if (this.byId.size >= count) return
    const { opened, open } = latch()
    this.#wanted = { count, open }
    await opened
  }

  get repeated (): number {
    return [...this.byId.values()].reduce((sum, times) => sum + times - 1, 0)
  }
}

/** Resolves when so many different jobs of the queue have ended this way, by the engine's own record of events. */
export async function ended ({ connection, prefix = 'bull' }: BullmqOptions, event: 'completed' | 'failed', count = 1): Promise<void> {
  const client = new Redis(connection as string, { maxRetriesPerRequest: null })
  const events = new QueueEvents('mail', { connection: client, prefix, lastEventId: '0' })
  const { opened, open } = latch()
  const ids = new Set<string>()
  events.on(event, ({ jobId }: { jobId: string }) => {
    if (ids.add(jobId).size === count) open()
  })
  await opened
  await events.close()
  client.disconnect()
}
