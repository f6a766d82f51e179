import { execFile } from 'node:child_process'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import t from 'tap'
import { build } from '../../helpers/build.ts'
import { loader, root, withoutCoverage } from '../../helpers/child.ts'

build()
t.jobs = 4

const fixture = join(root, 'test/fixtures/sqlite/conforming.js')

async function run (args: string[], env: NodeJS.ProcessEnv): Promise<string> {
  return new Promise(resolve => {
    execFile(process.execPath, args, { cwd: root, env, maxBuffer: 2 ** 24 }, (_error, stdout, stderr) => resolve(stdout + stderr))
  })
}

function report (output: string): { failed: string[] | null, skipped: string[] | null, passed: number } {
  return {
    failed: output.match(/^ *not ok .*$/gm),
    skipped: output.match(/(?<=- ).*# SKIP.*$/gm),
    passed: Number(/^# pass (\d+)/m.exec(output)?.[1])
  }
}

// There is no server that could be away.
const skipped = ['a server that is down, or hangs # SKIP needs the faults stop and start, freeze and thaw']

void t.test('a file', { buffered: true }, async t => {
  // From lib/, so that its coverage is measured.
  const output = await run([...loader, '--test-reporter=tap', fixture], { ...process.env, LIB: 'lib' })
  t.match(report(output), { failed: null, skipped, passed: 107 }, 'no test fails', { output })
})

const { resolve } = createRequire(import.meta.url)

for (const driver of ['libsql', 'better-sqlite3', 'node:sqlite']) {
  void t.test(`opened databases of ${driver}`, { buffered: true }, async t => {
    if (!isThere(driver)) return t.comment(`not run: opened databases of ${driver}, which is not installed`)
    const output = await run(['--test-reporter=tap', fixture, driver], withoutCoverage({ NODE_OPTIONS: '' }))
    t.match(report(output), { failed: null, skipped, passed: 107 }, 'no test fails', { output })
  })
}

function isThere (driver: string): boolean {
  try {
    resolve(driver)
    return !driver.startsWith('node:') || process.getBuiltinModule(driver) !== undefined
  } catch {
    return false
  }
}
