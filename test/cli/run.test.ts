import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import t, { type Test } from 'tap'
import { parseCommand, type WorkCommand } from '../../lib/cli/command.ts'
import { run } from '../../lib/cli/run.ts'
import { root } from '../helpers/child.ts'
import { FakeHost } from '../helpers/fake-host.ts'

const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
const file = join(root, 'package.json')

function parsed (...argv: string[]): WorkCommand {
  return parseCommand(['worker', file, ...argv]) as WorkCommand
}

await t.test('help and version go to stdout', async t => {
  for (const [argv, pattern] of [
    [['--help'], /^Usage: fastify-background-tasks worker <file>/],
    [['worker', '-h'], /--drain-timeout <ms>/],
    [['--version'], version],
    [['-v'], version]
  ] as [string[], RegExp | string][]) {
    const host = new FakeHost()
    t.equal(await run(argv, host.host), 0)
    t.match(host.out, pattern)
    t.equal(host.err, '')
  }
})

await t.test('what is typed wrong is said in a line, with a hint, and the exit code is 2', async t => {
  const wrong: [string[], string][] = [
    [[], 'expected the command "worker", got none'],
    [['wroker'], 'expected the command "worker", got "wroker"'],
    [['worker'], '"worker" needs the file of an application'],
    [['worker', './none.js'], `there is no file ${join(process.cwd(), 'none.js')}`],
    [['worker', file, 'more'], 'unexpected argument "more"'],
    [['worker', file, '--concurency', '3'], "Unknown option '--concurency'"],
    [['worker', file, '--help=yes'], "Option '-h, --help' does not take an argument"],
    [['worker', file, '--queues'], "Option '--queues <value>' argument missing"],
    [['worker', file, '--concurrency', 'x'], '--concurrency expects a whole number, got "x"'],
    [['worker', file, '--concurrency', '0'], 'Invalid options/concurrency: Expected integer to be greater or equal to 1, got 0'],
    [['worker', file, '--drain-timeout', '1.5'], '--drain-timeout expects a whole number, got "1.5"'],
    [['worker', file, '--queues', 'a,'], 'Invalid options/queues/1: Expected 1 to 64 letters, digits, "-" and "_", got \'\''],
    [['worker', file, '--health-port', '65536'], '--health-port expects a whole number up to 65535, got "65536"'],
    [['worker', file, '--health-host', '::1'], '--health-host needs --health-port'],
    [['worker', file, '--health-details'], '--health-details needs --health-port'],
    [['worker', file, '--log-level', 'loud'], '--log-level expects one of fatal, error, warn, info, debug, trace, silent, got "loud"']
  ]
  for (const [argv, problem] of wrong) {
    const host = new FakeHost()
    t.equal(await run(argv, host.host), 2)
    t.equal(host.err, `fastify-background-tasks: ${problem}\nSee: fastify-background-tasks --help\n`)
    t.equal(host.out, '')
  }
})

await t.test('what is typed right', async t => {
  t.strictSame(parsed(), { file, worker: {}, health: undefined, logLevel: undefined })
  t.strictSame(parsed('--queues', 'a,b', '--queues=c', '--concurrency', '20', '--drain-timeout', '0', '--health-port', '9090', '--log-level', 'debug'), {
    file,
    worker: { queues: ['a', 'b', 'c'], concurrency: 20, drainTimeout: 0 },
    health: { port: 9090 },
    logLevel: 'debug'
  })
  t.strictSame(parsed('--health-port', '0', '--health-host', '::1').health, { port: 0, host: '::1' })
  t.strictSame(parsed('--health-port', '0', '--health-details').health, { port: 0, details: true })
})

await t.test('what throws is no wrong usage', async t => {
  const host = new FakeHost()
  host.stdout.write = () => { throw new Error('closed pipe') }
  await t.rejects(run(['--help'], host.host), { message: 'closed pipe' })
})

async function exitOf (t: Test, content: string): Promise<{ code: number, err: string }> {
  const host = new FakeHost()
  const folder = t.testdir({ 'app.mjs': content })
  return { code: await run(['worker', join(folder, 'app.mjs')], host.host), err: host.err }
}

await t.test('a worker runs until it is told to end', async t => {
  const host = new FakeHost()
  const folder = t.testdir({
    'app.mjs': `
      import backgroundTasks, { defineTask } from '${pathToFileURL(join(root, 'lib/index.ts')).href}'
      import { memory } from '${pathToFileURL(join(root, 'lib/adapters/memory/index.ts')).href}'
      export const options = { logger: false }
      export default async (app, options) => {
        await app.register(backgroundTasks, { adapter: memory(), tasks: [defineTask({ name: 'task', run () {} })] })
      }`
  })
  const code = run(['worker', join(folder, 'app.mjs')], host.host)
  while (host.listenerCount('SIGTERM') === 0 && host.err === '') await setImmediate()
  host.emit('SIGTERM', 'SIGTERM')
  t.equal(await code, 0)
  t.equal(host.err, '')
})

await t.test('a file that is no application', async t => {
  t.match(await exitOf(t, ''), {
    code: 1,
    err: /^fastify-background-tasks: .*app\.mjs has to export by default a Fastify instance .*: it exports nothing by default \(FST_ERR_BGT_INVALID_APP\)\n$/
  })
})

await t.test('a file that throws', async t => {
  t.match(await exitOf(t, 'throw new TypeError("no settings")'), { code: 1, err: /^fastify-background-tasks: TypeError: no settings\n +at .*app\.mjs/ })
})

for (const [what, said] of [["{ no: 'settings' }", "{ no: 'settings' }"], ['null', 'null']] as const) {
  await t.test(`a file that throws ${what}, which is no error`, async t => {
    t.match(await exitOf(t, `throw ${what}`), { code: 1, err: `fastify-background-tasks: ${said}\n` })
  })
}
