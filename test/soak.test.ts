import t from 'tap'
import { build } from './helpers/build.ts'
import { Child } from './helpers/child.ts'

build()

await t.test('the books balance after seconds of everything that can happen, and SIGTERM under load', async t => {
  const child = new Child(t, 'bench/soak.js', ['--minutes', '0.1'])
  t.strictSame(await child.exit, { code: 0, signal: null })
  t.comment(child.lines.join('\n'))
})
