import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { build } from '../helpers/build.ts'
import { Child, root } from '../helpers/child.ts'
import { firstExample, project, snippetsOf } from './snippets.ts'

build()
// Each has a folder of its own.
t.jobs = 4

const pages = ['README.md', ...readdirSync(join(root, 'docs')).filter(file => file.endsWith('.md')).map(file => `docs/${file}`)]
const NAME = /^\/\/ ([\w.-]+)/

/** The files that a page shows, by the names in their first lines. */
function filesOf (page: string): Record<string, string> {
  return Object.fromEntries(snippetsOf(page).flatMap(({ code }) => {
    const name = NAME.exec(code)?.[1]
    return name === undefined ? [] : [[name, code]]
  }))
}

/** A port that somebody listens on, on every address. */
async function takenPort (t: Test): Promise<string> {
  const server = createServer().listen(0)
  await once(server, 'listening')
  t.teardown(() => server.close())
  return String((server.address() as AddressInfo).port)
}

async function tellsOf (t: Test, error: RegExp, child: Child): Promise<void> {
  await child.line(error)
  t.strictSame(await child.exit, { code: 1, signal: null }, { lines: child.lines })
}

const servers: Record<string, string[]> = {
  'README.md': ['first-example.js'],
  'docs/deployment.md': ['server.js'],
  'docs/queues.md': ['both.js', 'server.js'],
  'docs/worker.md': ['both.js']
}

for (const [page, names] of Object.entries(servers)) {
  for (const name of names) {
    void t.test(`${page}, ${name}: a port that is taken is on the screen`, { buffered: true }, async t => {
      const folder = project(t, { ...filesOf(page), 'first-example.js': firstExample() })
      await tellsOf(t, /EADDRINUSE/, new Child(t, name, [], { PORT: await takenPort(t) }, folder))
    })
  }
}

void t.test('examples/sign-up.js: a port that is taken is on the screen', { buffered: true }, async t => {
  await tellsOf(t, /EADDRINUSE/, new Child(t, 'examples/sign-up.js', [], { PORT: await takenPort(t) }))
})

void t.test('docs/worker.md, worker.js: a queue that cannot be started is on the screen', { buffered: true }, async t => {
  const { 'app.js': app = '', ...files } = filesOf('docs/worker.md')
  t.match(app, "'queue.db'")
  const folder = project(t, { ...files, 'app.js': app.replace('queue.db', 'no-such-folder/queue.db') })
  await tellsOf(t, /"level":50.*(no-such-folder|unable to open)/i, new Child(t, 'worker.js', [], {}, folder))
})

await t.test('every snippet with closeWithGrace logs its error, and the servers among them are tried here', async t => {
  const users = pages.flatMap(page => snippetsOf(page).flatMap(({ code }) => {
    if (!code.includes('closeWithGrace(')) return []
    t.match(code, /if \(err\) app\.log\.error\(err\)/, page)
    const name = NAME.exec(code)?.[1] ?? 'first-example.js'
    return code.includes('.listen(') ? [`${page} ${name}`] : []
  }))
  t.strictSame(users.sort(), Object.entries(servers).flatMap(([page, names]) => names.map(name => `${page} ${name}`)).sort())
  for (const file of ['examples/sign-up.js', 'examples/queue/open-queue.js']) {
    t.match(readFileSync(join(root, file), 'utf8'), /closeWithGrace\(.*async \(\{ err \}\) => \{\n\s+if \(err\) .*error\(err\)/, file)
  }
})
