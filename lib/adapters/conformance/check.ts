import { test } from 'node:test'
import type { QueueAdapter } from '../../../types/index.ts'
import type { ConformanceOptions } from './options.ts'
import { Stage } from './stage/stage.ts'

export type Need = 'delay' | 'priority' | 'dedupe' | 'retry' | 'result' | 'cancelPending' | 'transactional' | 'status' | 'cancel' | 'schedule' | 'scheduleBySecond'

/** One test. It is skipped, and says so, where the adapter does not claim to have what it needs. */
export type Check = (name: string, needs: readonly Need[], body: (stage: Stage, report: (line: string) => void) => Promise<void> | void) => void

export function checks (options: ConformanceOptions): Check {
  return (name, needs, body) => {
    void test(name, async t => {
      const stage = new Stage(options)
      await closing(stage, async () => {
        stage.adapter = await stage.start()
        const missing = needs.find(need => !has(stage.adapter, need))
        if (missing === undefined) await body(stage, line => t.diagnostic(line))
        else t.skip(`the adapter has no "${missing}"`)
      })
    })
  }
}

/** Closes the stage after the body, whose error goes before that of closing. */
export async function closing (stage: Stage, body: () => Promise<void>): Promise<void> {
  try {
    await body()
  } catch (error) {
    await stage.close().catch(() => {})
    throw error
  }
  await stage.close()
}

export function has (adapter: QueueAdapter, need: Need): boolean {
  switch (need) {
    case 'status':
    case 'cancel':
      return adapter[need] !== undefined
    case 'schedule':
      return adapter.capabilities.schedule !== 'none'
    case 'scheduleBySecond':
      return adapter.capabilities.schedule === 'second'
    default:
      return adapter.capabilities[need]
  }
}
