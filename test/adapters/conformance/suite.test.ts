import t from 'tap'
import { loader } from '../../helpers/child.ts'
import { type Report, runConformance } from '../../helpers/conformance.ts'

const conforming: Record<string, { passed: number, skipped: number }> = {
  memory: { passed: 95, skipped: 8 },
  plain: { passed: 62, skipped: 35 },
  mute: { passed: 72, skipped: 31 },
  rich: { passed: 103, skipped: 3 },
  remote: { passed: 105, skipped: 7 },
  forgetful: { passed: 66, skipped: 46 }
}

const broken: Record<string, string> = {
  'retries what failed for good': 'records the right end of each of 200 jobs, whatever happens to the others',
  'refuses its own transactions': 'delivers a job once its transaction has been committed, not before'
}

/** From lib/, so that its coverage is measured. */
async function runMeasured (name: string, execArgv: string[] = []): Promise<Report> {
  return await runConformance(name, [...loader, ...execArgv], { ...process.env, LIB: 'lib' })
}

t.jobs = 2

void t.test('passes what conforms, and reports as skipped what it does not claim', { jobs: 4, buffered: true }, async t => {
  await Promise.all(Object.entries(conforming).map(async ([name, expected]) => t.test(name, { buffered: true }, async t => {
    const { output, failed, passed, skipped } = await runMeasured(name)
    t.strictSame(failed, [], 'no test fails', { output })
    t.strictSame({ passed, skipped: skipped.length }, expected)
    t.comment(`${name}, not run: ${skipped.join('; ')}`)
  })))
})

void t.test('fails, and cleans up, where an adapter does not conform', { buffered: true }, async t => {
  for (const [name, caughtBy] of Object.entries(broken)) {
    const { output, failed } = await runMeasured(name, ['--test-force-exit'])
    t.ok(failed.includes(caughtBy), `"${name}" is caught by "${caughtBy}"`, { output })
  }
})
