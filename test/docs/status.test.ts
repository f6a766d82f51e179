import { execFile } from 'node:child_process'
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { build } from '../helpers/build.ts'
import { Child, root } from '../helpers/child.ts'

build()
const run = promisify(execFile)
const page = readFileSync(join(root, 'docs/status.md'), 'utf8')
const UUID = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/
const ETAG = /W\/"[\w-]{43}"/

function write (t: Test): string {
  const folder = t.testdir({ node_modules: {} })
  for (const name of ['fastify', '@sinclair', 'libsql']) symlinkSync(join(root, 'node_modules', name), join(folder, 'node_modules', name), 'junction')
  symlinkSync(root, join(folder, 'node_modules/fastify-background-tasks'), 'junction')
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  for (const [, name = '', code = ''] of page.matchAll(/```js\n\/\/ ([\w.-]+)\n([^]*?)```/g)) writeFileSync(join(folder, name), code)
  return folder
}

interface Exchange {
  readonly args: string[]
  readonly status: string
  readonly headers: string[]
  readonly body: string
}

/** What was typed, and what came. */
function exchanges (): Exchange[] {
  const [, session = ''] = /```console\n([^]*?)```/.exec(page)!
  return session.split(/^\$ curl /m).slice(1).map(text => {
    const [command = '', status = '', ...lines] = text.trim().split('\n')
    const args = Array.from(command.matchAll(/'([^']*)'|(\S+)/g), ([, quoted, bare]) => quoted ?? bare!)
    const body = lines.indexOf('')
    return { args, status, headers: body < 0 ? lines : lines.slice(0, body), body: body < 0 ? '' : lines[body + 1]! }
  })
}

/** Ids, tags and times differ from run to run. */
function shape (text: string): string {
  return text.replaceAll(new RegExp(UUID, 'g'), 'id').replaceAll(new RegExp(ETAG, 'g'), 'tag').replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'time')
}

await t.test('the session with curl goes as printed', async t => {
  const child = new Child(t, relative(root, join(write(t), 'app.js')), [], { PORT: '0' })
  const [url = ''] = await child.line(/^http:\S+/)
  let [id, etag] = ['', '']
  const session = exchanges()
  t.equal(session.length, 6)
  for (const { args, status, headers, body } of session) {
    const actual = args.map(arg => arg.replace('http://localhost:3000', url).replace(UUID, id).replace(ETAG, etag))
    let head: string[]
    let answer: string | undefined
    do {
      const { stdout } = await run('curl', actual)
      const [top = '', ...rest] = stdout.split('\r\n\r\n')
      head = top.split('\r\n')
      answer = rest.join('')
    } while (answer.includes('"pending"'))
    t.equal(head[0], status)
    for (const header of headers) t.ok(head.map(shape).includes(shape(header)), header)
    t.equal(shape(answer), shape(body))
    id = UUID.exec(answer)?.[0] ?? id
    etag = ETAG.exec(head.join('\n'))?.[0] ?? etag
  }
  child.terminate()
  await child.exit
})

await t.test('owners.js shows a task to its owner', async t => {
  const folder = write(t)
  const { build } = await import(pathToFileURL(join(folder, 'owners.js')).href) as { build: (file: string) => Promise<FastifyInstance> }
  const app = await build(join(folder, 'queue.db'))
  t.teardown(() => app.close())
  const headers = { 'x-user': 'ada' }
  const accepted = await app.inject({ method: 'POST', url: '/reports', headers, payload: { months: 12 } })
  t.equal(accepted.statusCode, 202)
  const url = String(accepted.headers.location)
  t.match((await app.inject({ url, headers })).json(), { task: 'report', state: 'pending' })
  t.equal((await app.inject({ url, headers: { 'x-user': 'eve' } })).statusCode, 404)
  t.equal((await app.inject({ method: 'DELETE', url })).statusCode, 404)
  await app.backgroundTasks.work()
  let status: { state: string }
  do {
    await setImmediate()
    status = (await app.inject({ url, headers })).json()
  } while (status.state !== 'completed')
  t.match(status, { result: { pages: 36 } })
})
