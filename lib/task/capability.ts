import type { Capabilities, QueueAdapter, Task } from '../../types/index.ts'
import { FST_ERR_BGT_NO_ADAPTER, FST_ERR_BGT_NO_CAPABILITY } from '../errors.ts'

type Capability = keyof Capabilities

/** tsc knows a name that is missing here, or too many. */
const known: Record<Capability, true> = {
  delay: true,
  priority: true,
  dedupe: true,
  retry: true,
  result: true,
  cancelPending: true,
  transactional: true,
  durable: true,
  schedule: true,
  missedOnce: true,
  batch: true
}

export const capabilities = Object.keys(known) as readonly Capability[]

/** @throws FST_ERR_BGT_NO_CAPABILITY */
export function requireCapability ({ name, capabilities }: QueueAdapter, capability: Capability, what: string): void {
  const has = capabilities[capability]
  if (has === false || has === 'none') throw new FST_ERR_BGT_NO_CAPABILITY(what, capability, name)
}

/**
 * Checks that the adapter can do all that the task wants of it.
 *
 * @throws FST_ERR_BGT_NO_CAPABILITY, FST_ERR_BGT_NO_ADAPTER
 */
export function checkCapabilities (task: Task, adapter: QueueAdapter | undefined): void {
  const requires = [...task.requires]
  if (task.escalate.includes('shutdown')) requires.push('durable')
  if (task.escalate.length > 0 && task.options.retry !== undefined) requires.push('retry')
  if (adapter === undefined) {
    if (task.escalate.length > 0) throw new FST_ERR_BGT_NO_ADAPTER(`"escalate" of task "${task.name}"`)
    if (requires.length > 0) throw new FST_ERR_BGT_NO_ADAPTER(`"requires" of task "${task.name}"`)
    return
  }
  for (const capability of requires) requireCapability(adapter, capability, `Task "${task.name}"`)
}
