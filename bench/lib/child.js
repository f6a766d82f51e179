import { execFile } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { promisify } from 'node:util'
import pLimit from 'p-limit'

const run = promisify(execFile)

/** What a script prints as JSON, run in a process of its own with its argument as JSON. */
export async function runChild (script, argument, flags = []) {
  const { stdout } = await run(process.execPath, [...flags, script, JSON.stringify(argument)])
  return JSON.parse(stdout)
}

/** For measurements that another process does not disturb: as many at once as there are cores. */
export const limit = pLimit(availableParallelism())
