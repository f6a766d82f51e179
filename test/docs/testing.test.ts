import { execFile } from 'node:child_process'
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { root, withoutCoverage } from '../helpers/child.ts'

const run = promisify(execFile)

await t.test('docs/testing.md works as printed', async t => {
  const folder = t.testdir({ node_modules: {} })
  for (const name of ['fastify', 'tap', 'vitest']) symlinkSync(join(root, 'node_modules', name), join(folder, 'node_modules', name), 'junction')
  symlinkSync(root, join(folder, 'node_modules/fastify-background-tasks'), 'junction')
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  writeFileSync(join(folder, 'vitest.config.js'), 'export default { test: { include: ["*.vitest.js"] } }')
  for (const [, name = '', code = ''] of readFileSync(join(root, 'docs/testing.md'), 'utf8').matchAll(/```js\n\/\/ ([\w.-]+).*\n([^]*?)```/g)) {
    writeFileSync(join(folder, name), code)
  }

  const options = { cwd: folder, env: withoutCoverage({ NODE_OPTIONS: '' }) }
  await t.test('node:test', async t => {
    const { stdout } = await run(process.execPath, ['--test', 'app.test.js', 'fake-timers.test.js'], options)
    t.match(stdout, /pass 2\n.*fail 0/)
  })
  await t.test('tap', async t => {
    const { stdout } = await run(process.execPath, ['app.tap.js'], options)
    t.match(stdout, /^ok 1 - signing up sends a mail/m)
  })
  await t.test('vitest', async t => {
    const { stdout } = await run(process.execPath, [join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--no-color'], options)
    t.match(stdout, /2 passed/)
  })
})
