import type { CloseOptions, Consumer } from '../../../types/index.ts'
import { within } from '../../time.ts'

/** Whether the jobs under way end within `grace` ms, or else are to be given back. Without a limit, they do. */
export async function endInTime (ended: Promise<unknown>, grace: number | undefined): Promise<boolean> {
  if (grace !== undefined) return within(grace, ended)
  await ended
  return true
}

export async function closeAll (consumers: Iterable<Consumer>, options: CloseOptions | undefined): Promise<void> {
  await Promise.all(Array.from(consumers, consumer => consumer.close(options)))
}
