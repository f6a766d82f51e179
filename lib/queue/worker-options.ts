import { Type } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import type { WorkerOptions } from '../../types/index.ts'
import { check, type Checker, count, MAX_TIMER, ms, withDefaults } from '../check.ts'
import { brief, FST_ERR_BGT_INVALID_OPTIONS } from '../errors.ts'
import { queueName } from '../task/define.ts'

const DAY = 86_400_000
const YEAR = 365 * DAY

const strict = { additionalProperties: false }

const unknownTasks = Type.Object({ delay: ms(DAY, 15_000), grace: ms(YEAR, 3_600_000) }, strict)

const schema = Type.Object({
  queues: Type.Optional(Type.Array(queueName, { minItems: 1 })),
  concurrency: count(1, 10),
  drainTimeout: ms(MAX_TIMER),
  unknown: Type.Optional(unknownTasks)
}, strict)

const checker: Checker = TypeCompiler.Compile(schema)

export interface ResolvedWorkerOptions {
  readonly queues: readonly string[]
  readonly concurrency: number
  /** ms */
  readonly drainTimeout: number
  /** ms */
  readonly unknown: { readonly delay: number, readonly grace: number }
}

interface Defaults {
  /** The queues that have tasks. */
  readonly queues: readonly string[]
  /** ms */
  readonly drainTimeout: number
}

/** @throws FST_ERR_BGT_INVALID_OPTIONS */
export function checkWorkerOptions (options: unknown): asserts options is WorkerOptions {
  check(checker, 'options', options)
}

/**
 * @throws FST_ERR_BGT_INVALID_OPTIONS also for a worker that would have nothing to do: it would wait for ever,
 * and look well.
 */
export function resolveWorkerOptions (options: WorkerOptions, defaults: Defaults): ResolvedWorkerOptions {
  checkWorkerOptions(options)
  const { queues, unknown, ...resolved } = withDefaults(schema, { ...defaults, ...options })
  checkQueues(queues, defaults.queues)
  return { ...resolved, queues: [...new Set(queues)], unknown: withDefaults(unknownTasks, unknown ?? {}) }
}

function checkQueues (queues: readonly string[], known: readonly string[]): void {
  if (known.length === 0) {
    throw new FST_ERR_BGT_INVALID_OPTIONS('options/tasks', 'Expected a task for the worker to run, got []')
  }
  const index = queues.findIndex(queue => !known.includes(queue))
  if (index === -1) return
  const problem = `Expected one of ${known.join(', ')}, which have tasks, got ${brief(queues[index])}`
  throw new FST_ERR_BGT_INVALID_OPTIONS(`options/queues/${index}`, problem)
}
