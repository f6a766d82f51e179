import { execFile } from 'node:child_process'
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { Type } from '@sinclair/typebox'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { backgroundTasks, defineTask } from '../../lib/index.ts'
import { sqlite } from '../../lib/adapters/sqlite/index.ts'
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

interface Owners {
  readonly build: (file: string, users: ReadonlyMap<string, object>) => Promise<FastifyInstance>
  readonly hash: (token: string) => string
}

await t.test('owners.js shows a task to its owner, and to nobody else', async t => {
  const folder = write(t)
  const { build, hash } = await import(pathToFileURL(join(folder, 'owners.js')).href) as Owners
  const users = new Map(['ada', 'eve', 'support'].map(id => [hash(`token of ${id}`.replaceAll(' ', '-')), { id, isSupport: id === 'support' }]))
  let app: FastifyInstance
  let address = ''
  async function start (): Promise<void> {
    app = await build(join(folder, 'queue.db'), users)
    t.teardown(() => app.close())
    address = await app.listen({ host: '127.0.0.1', port: 0 })
  }
  async function ask (method: string, path: string, user?: string, token = `token-of-${user}`): Promise<[status: number, body: unknown, headers: Headers]> {
    const headers = { ...(user !== undefined && { authorization: `Bearer ${token}` }), ...(method === 'POST' && { 'content-type': 'application/json' }) }
    const response = await fetch(address + path, { method, headers, ...(method === 'POST' && { body: '{ "months": 12 }' }) })
    return [response.status, await response.json(), response.headers]
  }

  await start()
  t.equal((await ask('POST', '/reports'))[0], 401)
  const [status, , headers] = await ask('POST', '/reports', 'ada')
  t.equal(status, 202)
  const path = headers.get('location')!
  t.match(await ask('GET', path, 'ada'), [200, { task: 'report', state: 'pending' }])

  const unowned = await plant(folder)
  const unknown = '/tasks/00000000-0000-4000-8000-000000000000'

  await app!.close()
  await start()
  for (const method of ['GET', 'DELETE']) {
    for (const url of [path, unowned, unknown]) {
      t.match(await ask(method, url), [401, { error: 'Unauthorized' }], `${method} ${url} by a stranger`)
      t.match(await ask(method, url, 'eve', 'made-up'), [401], `${method} ${url} with a token that is none`)
      t.match(await ask(method, url, 'eve'), [404, { code: 'FST_ERR_BGT_TASK_NOT_FOUND' }], `${method} ${url} by another user`)
    }
    t.match(await ask(method, unowned, 'ada'), [404])
  }
  t.match(await ask('GET', path, 'support'), [200])
  t.match(await ask('DELETE', path, 'support'), [404])
  t.match(await ask('GET', unowned, 'support'), [200])

  await app!.backgroundTasks.work()
  let info: { state: string }
  do {
    await setImmediate()
    info = (await ask('GET', path, 'ada'))[1] as { state: string }
  } while (info.state !== 'completed')
  t.match(info, { result: { pages: 36 } })
  t.notOk('owner' in info)
})

/** Enqueues a report without an owner, by another process's application. Returns its path. */
async function plant (folder: string): Promise<string> {
  const app = Fastify()
  const report = defineTask({ name: 'report', payload: Type.Object({ months: Type.Integer() }), run () {} })
  await app.register(backgroundTasks, { tasks: [report], adapter: sqlite({ file: join(folder, 'queue.db') }) })
  await app.ready()
  const { id } = await app.backgroundTasks.enqueue(report, { months: 1 })
  await app.close()
  return `/tasks/${id}`
}
