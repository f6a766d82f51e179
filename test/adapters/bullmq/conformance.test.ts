import t from 'tap'
import { Child } from '../../helpers/child.ts'
import { skipWithoutRedisServer } from '../../helpers/redis.ts'

void t.test('BullMQ conforms, also while its server is killed or hangs', { skip: skipWithoutRedisServer }, async t => {
  const suite = new Child(t, 'test/fixtures/bullmq/conformance.ts')
  const { code } = await suite.exit
  t.same(suite.lines.filter(line => /^\s*not ok/.test(line)), [], 'no test fails', { lines: suite.lines })
  t.equal(code, 0, 'and the suite has run', { lines: suite.lines })
  for (const line of suite.lines.filter(line => /# SKIP|^\s*# \d+ acknowledged/.test(line))) t.comment(line.trim())
})
