import t from 'tap'
import { Child } from '../../helpers/child.ts'

t.jobs = 2

for (const [name, ...args] of [['pg-boss conforms'], ['also while its server is killed or hangs', 'faults']] as [string, ...string[]][]) {
  void t.test(name, { buffered: true }, async t => {
    const suite = new Child(t, 'test/fixtures/pg-boss/conformance.ts', args)
    const { code } = await suite.exit
    t.same(suite.lines.filter(line => /^\s*not ok/.test(line)), [], 'no test fails', { lines: suite.lines })
    t.equal(code, 0)
    for (const line of suite.lines.filter(line => /# SKIP|^\s*# \d+ acknowledged/.test(line))) t.comment(line.trim())
  })
}
