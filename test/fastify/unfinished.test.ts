import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { mock } from 'node:test'
import t, { type Test } from 'tap'
import { makeApp } from '../helpers/app.ts'
import { build } from '../helpers/build.ts'
import { Child } from '../helpers/child.ts'
import { LogLines } from '../helpers/log-lines.ts'
import { turns } from '../helpers/timers.ts'

build()

const WARNING = /background tasks will be lost at SIGTERM and SIGINT/
const UNFINISHED = /the process exits before the end of/

const never = new Promise<never>(() => {})

function run (t: Test, mode: string): Child {
  return new Child(t, 'test/fixtures/unfinished.js', [mode])
}

async function linesOf (child: Child): Promise<string[]> {
  await child.exit
  return child.lines.filter(line => WARNING.test(line) || UNFINISHED.test(line))
}

await t.test('a server in a process that listens for no signal says so once, with what to add', async t => {
  const child = run(t, 'unheard')
  await child.line(/^listening$/)
  await child.line(WARNING)
  child.terminate()
  const { signal } = await child.exit
  if (process.platform !== 'win32') t.equal(signal, 'SIGTERM')
  const [line, ...more] = await linesOf(child)
  t.strictSame(more, [])
  t.match(JSON.parse(line!), { level: 40, msg: /import closeWithGrace from 'close-with-grace'.*closeWithGrace\(async .*app\.log\.error\(err\).*await app\.close\(\)/ })
})

await t.test('a handler that is added after listen is in time', async t => {
  const child = run(t, 'heard')
  await child.line(/^listening$/)
  child.terminate()
  t.strictSame(await linesOf(child), [])
})

await t.test('an application that does not listen is not told', async t => {
  t.strictSame(await linesOf(run(t, 'injected')), [])
})

await t.test('process.exit with tasks left: one line with number and names, by one listener, and the exit code stays', async t => {
  const child = run(t, 'exit')
  t.match(await child.exit, { code: 3 })
  t.strictSame(await linesOf(child), ['fastify-background-tasks: the process exits before the end of 3 background tasks (mail, report, export)'])
  t.ok(child.lines.includes('listeners: 1'), child.lines.join('\n'))
})

await t.test('no line after a clean close, whatever was lost in it, and no listener is left', async t => {
  const child = run(t, 'closed')
  t.strictSame(await linesOf(child), [])
  t.ok(child.lines.includes('listeners: 0'), child.lines.join('\n'))
})

await t.test('an event loop that runs empty under a task is an exit too', async t => {
  t.strictSame(await linesOf(run(t, 'empty')), ['fastify-background-tasks: the process exits before the end of 1 background task (waits)'])
})

/** The listener of `exit` that the plugin adds here. */
async function exitListener (t: Test, names: string[]): Promise<NodeJS.ExitListener> {
  const before = process.listeners('exit')
  const app = await makeApp(t, { drainTimeout: 0 })
  await app.ready()
  for (const name of names) app.backgroundTasks.add({ name }, () => never)
  await turns()
  const added = process.listeners('exit').filter(listener => !before.includes(listener))
  t.equal(added.length, 1)
  return added[0]!
}

function fakeWrite (t: Test, write: (...given: unknown[]) => number): void {
  const { mock: written } = mock.method(fs, 'writeSync', write as typeof fs.writeSync)
  syncBuiltinESMExports()
  t.teardown(() => {
    written.restore()
    syncBuiltinESMExports()
  })
}

await t.test('the line is written at once, as nothing asynchronous runs any more', async t => {
  const tell = await exitListener(t, Array.from({ length: 12 }, (_, n) => `t${n}`))
  const written: unknown[][] = []
  fakeWrite(t, (...given) => written.push(given))
  tell(0)
  t.match(written, [[2, /before the end of 12 background tasks \(t0, t1, t2, t3, t4, t5, t6, t7, t8, t9, \.\.\.\)\n$/]])
})

await t.test('without tasks it writes nothing', async t => {
  const tell = await exitListener(t, [])
  const written: unknown[][] = []
  fakeWrite(t, (...given) => written.push(given))
  tell(0)
  t.strictSame(written, [])
})

await t.test('a stderr that nobody reads does not change how the process ends', async t => {
  const tell = await exitListener(t, ['mail'])
  fakeWrite(t, () => { throw Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }) })
  t.doesNotThrow(() => tell(0))
})

for (const heard of [false, true]) {
  await t.test(`with ${heard ? 'a listener of SIGINT' : 'no listener of signals'} in this process`, async t => {
    const theirs = (['SIGTERM', 'SIGINT'] as const).map(signal => [signal, process.listeners(signal)] as const)
    for (const [signal] of theirs) process.removeAllListeners(signal)
    t.teardown(() => {
      for (const [signal, listeners] of theirs) {
        process.removeAllListeners(signal)
        for (const listener of listeners) process.on(signal, listener)
      }
    })
    const lines = new LogLines('warn')
    const app = await makeApp(t, {}, { logger: lines.logger })
    await app.listen({ host: '127.0.0.1', port: 0 })
    if (heard) process.on('SIGINT', () => {})
    await turns()
    t.equal(lines.all.filter(({ msg }) => WARNING.test(msg)).length, heard ? 0 : 1)
  })
}
