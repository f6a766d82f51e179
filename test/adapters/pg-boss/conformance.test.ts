import t from 'tap'
import { Child } from '../../helpers/child.ts'

void t.test('pg-boss conforms, also while its server is killed or hangs', async t => {
  const suite = new Child(t, 'test/fixtures/pg-boss/conformance.ts')
  const { code } = await suite.exit
  t.same(suite.lines.filter(line => /^\s*not ok/.test(line)), [], 'no test fails', { lines: suite.lines })
  t.equal(code, 0)
  for (const line of suite.lines.filter(line => /# SKIP|^\s*# \d+ acknowledged/.test(line))) t.comment(line.trim())
})
