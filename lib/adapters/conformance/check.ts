import { test } from 'node:test'
import type { Capabilities, QueueAdapter } from '../../../types/index.ts'
import type { ConformanceOptions } from './options.ts'
import { Stage } from './stage/stage.ts'

/** The capabilities that an adapter has or has not. */
export type Flag = {
  [Name in keyof Capabilities]: Capabilities[Name] extends boolean ? Name : never
}[keyof Capabilities]

/** Something that not every adapter can do. */
export type Need = Flag | 'status' | 'cancel' | 'schedule' | 'scheduleBySecond'

type Body = (stage: Stage, report: (line: string) => void) => Promise<void> | void

/** One test. It is skipped, and says so, if the adapter does not claim to have all that it needs. */
export type Check = (name: string, needs: readonly Need[], body: Body) => void

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

/** Runs the body, then closes the stage. An error of the body goes before one of closing. */
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
