import { readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createRequire } from 'node:module'
import t, { type Test } from 'tap'
import { parseCommand } from '../../lib/cli/command.ts'
import { build } from '../helpers/build.ts'
import { Child, root } from '../helpers/child.ts'

build()

const text = readFileSync(join(root, 'docs/worker.md'), 'utf8')
const CLEAN = { code: 0, signal: null }

/** A folder with the files of docs/worker.md, and the packages they import. */
function project (t: Test): string {
  const folder = t.testdir({ 'package.json': '{ "type": "module" }', node_modules: { '@sinclair': {} } })
  for (const name of ['fastify', 'fastify-plugin', 'close-with-grace', '@sinclair/typebox', 'libsql']) {
    symlinkSync(join(root, 'node_modules', name), join(folder, 'node_modules', name), 'junction')
  }
  symlinkSync(root, join(folder, 'node_modules/fastify-background-tasks'), 'junction')
  for (const [, name = '', code = ''] of text.matchAll(/```js\n\/\/ ([\w.-]+).*\n([^]*?)```/g)) {
    writeFileSync(join(folder, name), code.replace("'queue.db'", JSON.stringify(join(folder, 'queue.db'))))
  }
  return folder
}

async function signUp (t: Test, child: Child): Promise<void> {
  const [, port] = await child.line(/Server listening at http:\/\/127\.0\.0\.1:(\d+)/)
  const response = await fetch(`http://127.0.0.1:${port}/users`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"email":"ada@example.com"}'
  })
  t.equal(response.status, 202)
}

await t.test('a server by fastify-cli, and a worker by the command', async t => {
  const folder = project(t)
  const server = new Child(t, 'node_modules/fastify-cli/cli.js', ['start', '--address', '127.0.0.1', '--log-level', 'info', join(folder, 'app.js')], { PORT: '0' })
  await signUp(t, server)
  server.terminate()
  t.strictSame(await server.exit, CLEAN)

  const worker = new Child(t, 'dist/lib/cli/index.js', ['worker', join(folder, 'app.js'), '--health-port', '0'])
  await worker.line(/"reqId":"req-1".*welcome, ada@example.com/)
  const [, port] = await worker.line(/"port":(\d+).*answers \/live and \/ready/)
  await worker.line(/worker started/)
  const ready = await fetch(`http://127.0.0.1:${port}/ready`)
  t.strictSame([ready.status, await ready.json()], [200, { state: 'working' }])
  worker.terminate()
  t.strictSame(await worker.exit, CLEAN)
})

await t.test('worker.js', async t => {
  const folder = project(t)
  const child = new Child(t, join(folder, 'worker.js').slice(root.length))
  await child.line(/"concurrency":20.*worker started/)
  await child.line(/"running":0,"completed":0/)
  child.terminate()
  t.strictSame(await child.exit, CLEAN)
})

await t.test('both.js', async t => {
  const folder = project(t)
  const child = new Child(t, join(folder, 'both.js').slice(root.length), [], { PORT: '0' })
  await child.line(/"concurrency":5.*worker started/)
  await signUp(t, child)
  await child.line(/"reqId":"req-1".*welcome, ada@example.com/)
  child.terminate()
  t.strictSame(await child.exit, CLEAN)
})

await t.test('the commands for supervisors are ones that the command takes', async t => {
  const { bin } = createRequire(import.meta.url)('../../package.json') as { bin: Record<string, string> }
  const program = join('node_modules/fastify-background-tasks', bin['fastify-background-tasks']!).replaceAll('\\', '/')
  const folder = project(t)
  const [, execProgram, exec = ''] = /^ExecStart=\/usr\/bin\/node (\S+) (.*)$/m.exec(text)!
  const [, commandProgram, command = ''] = /^ +command: \[node, ([^,]+), (.*)\]$/m.exec(text)!
  t.strictSame([execProgram, commandProgram], [program, program], 'JavaScript, whichever package manager: .bin has shell scripts')
  const help = new Child(t, program, ['--help'], {}, folder)
  await help.line(/fastify-background-tasks worker/)
  t.strictSame(await help.exit, CLEAN)
  const argvs = [exec.split(' '), command.split(', ').map(word => word.replaceAll("'", ''))]
  const absolute = argvs.map(argv => argv.map(word => word === './app.js' ? join(folder, 'app.js') : word))
  t.match(absolute.map(argv => parseCommand(argv)), [
    { worker: { drainTimeout: 60_000 }, health: undefined },
    { worker: { drainTimeout: 60_000 }, health: { port: 9_090 } }
  ])
})
