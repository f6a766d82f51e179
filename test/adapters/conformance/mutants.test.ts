import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { build } from '../../helpers/build.ts'
import { root, withoutCoverage } from '../../helpers/child.ts'
import { runConformance } from '../../helpers/conformance.ts'

type Mutants = Record<string, { caughtBy: string }>

build()

/** Every test against every mutant takes minutes, and tells which others catch it. By default each meets the one test that has to. */
const whole = process.env.WHOLE_SUITE !== undefined
const { mutants, faultMutants } = await import(pathToFileURL(join(root, 'test/fixtures/conformance/mutants.js')).href) as Record<string, Mutants>

await t.test('catches what does not conform', { jobs: 4 }, async t => {
  await Promise.all(Object.entries({ ...mutants, ...faultMutants }).map(async ([name, { caughtBy }]) => t.test(name, { buffered: true }, async t => {
    const pattern = `--test-name-pattern=${caughtBy.replaceAll(/[().]/g, '\\$&')}`
    const { output, failed } = await runConformance(name, ['--test-force-exit', ...(whole ? [] : [pattern])], withoutCoverage({ NODE_OPTIONS: '' }))
    t.ok(failed.includes(caughtBy), `caught by "${caughtBy}"`, { output })
    t.comment(`"${name}" is caught by: ${failed.join('; ')}`)
  })))
})
