import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { root } from './child.ts'

export interface Report {
  output: string
  passed: number
  failed: string[]
  skipped: string[]
}

/** Runs the suite, in a process of its own, against one of the adapters in test/fixtures/conformance/adapters.js. */
export async function runConformance (name: string, execArgv: string[], env: NodeJS.ProcessEnv): Promise<Report> {
  const args = [...execArgv, '--test-reporter=tap', join(root, 'test/fixtures/conformance/run.js'), name]
  const output = await new Promise<string>(resolve => {
    execFile(process.execPath, args, { cwd: root, env, maxBuffer: 2 ** 26 }, (_error, stdout, stderr) => resolve(stdout + stderr))
  })
  const results = /^ +(?:not )?ok \d+ - (.*?)(?: # SKIP.*)?\n +---\n +duration_ms: .*\n(?! +type: 'suite')/gm
  const leaves = [...output.matchAll(results)]
  const named = (pattern: RegExp): string[] => leaves.filter(([line]) => pattern.test(line)).map(([, name = '']) => name)
  return { output, passed: Number(/^# pass (\d+)/m.exec(output)?.[1]), failed: named(/^ +not ok/), skipped: named(/# SKIP/) }
}
