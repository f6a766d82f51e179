import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t, { type Test } from 'tap'
import { loadApplication } from '../../lib/cli/application.ts'
import { root } from '../helpers/child.ts'

const index = pathToFileURL(join(root, 'lib/index.ts')).href
const imports = `
import Fastify from 'fastify'
import fp from 'fastify-plugin'
import backgroundTasks from '${index}'
`

async function load (t: Test, name: string, content: string): ReturnType<typeof loadApplication> {
  const folder = t.testdir({ [name]: content })
  const loaded = await loadApplication(join(folder, name))
  t.teardown(() => loaded.app.close())
  return loaded
}

const applications: Record<string, [name: string, content: string]> = {
  'an instance': ['app.mjs', `${imports}
    const app = Fastify()
    app.register(backgroundTasks, { maxPending: 7 })
    export default app`],
  'a function that returns an instance': ['app.mjs', `${imports}
    export default () => Fastify().register(backgroundTasks)`],
  'a function that returns a promise of an instance': ['app.mjs', `${imports}
    export default async () => {
      const app = Fastify()
      await app.register(backgroundTasks)
      return app
    }`],
  'an async plugin': ['app.mjs', `${imports}
    export default async (app, options) => { await app.register(backgroundTasks, options) }`],
  'a plugin with a callback': ['app.mjs', `${imports}
    export default function (app, options, done) {
      app.register(backgroundTasks)
      done()
    }`],
  'a plugin made by fastify-plugin, with rest parameters': ['app.mjs', `${imports}
    export default fp(async (...args) => { await args[0].register(backgroundTasks) }, { name: 'mine' })`],
  'an instance in CommonJS': ['app.cjs', `
    const app = require('fastify')()
    app.register(import('${index}'))
    module.exports = app`],
  'a plugin in CommonJS': ['app.cjs', `
    module.exports = async (app, options) => { await app.register(import('${index}')) }`],
  'a plugin compiled to CommonJS': ['app.cjs', `
    Object.defineProperty(exports, '__esModule', { value: true })
    exports.default = async (app, options) => { await app.register(import('${index}')) }`]
}

for (const [what, [name, content]] of Object.entries(applications)) {
  await t.test(what, async t => {
    const { app } = await load(t, name, content)
    await app.ready()
    t.ok(app.hasDecorator('backgroundTasks'))
  })
}

for (const [what, name, content] of [
  ['ESM', 'app.mjs', 'export default async (app, options) => {}\nexport const options = { pluginTimeout: 1234, logger: false }'],
  ['CommonJS', 'app.cjs', 'module.exports = async (app, options) => {}\nmodule.exports.options = { pluginTimeout: 1234, logger: false }'],
  ['CommonJS, assigned', 'app.cjs', 'module.exports = Object.assign(async (app, options) => {}, { options: { pluginTimeout: 1234, logger: false } })'],
  ['CommonJS, compiled', 'app.cjs', 'exports.__esModule = true\nexports.default = async (app, options) => {}\nexports.options = { pluginTimeout: 1234, logger: false }']
] as const) {
  await t.test(`options beside a plugin are those of its instance (${what})`, async t => {
    const { app } = await load(t, name, content)
    t.match(app.initialConfig, { pluginTimeout: 1234 })
    t.equal(app.log.level, undefined)
  })
}

await t.test('an instance made for a plugin logs', async t => {
  const { app } = await load(t, 'app.mjs', 'export default async (app, options) => {}')
  t.equal(app.log.level, 'info')
})

for (const [what, name, content, problem] of [
  ['nothing', 'app.mjs', 'export const app = 1', /: it exports nothing by default$/],
  ['null', 'app.mjs', 'export default null', /: its default export is null$/],
  ['an object', 'app.cjs', 'exports.app = 1', /: its default export is \[Object\]$/],
  ['a function that returns something else', 'app.mjs', 'export default function build () { return "an app" }', /: the function "build" returned 'an app'$/],
  ['a function that returns nothing', 'app.mjs', 'export default async () => {}', /: the function "default" returned undefined$/],
  // As Node does it; tap, which loads TypeScript, puts its own error in the place.
  ['a file of another kind', 'app.mjs', 'throw Object.assign(new Error("Unknown file extension"), { code: "ERR_UNKNOWN_FILE_EXTENSION" })', /: Node\.js v[\d.]+ says "Unknown file extension": compile it, or load it with NODE_OPTIONS/]
] as const) {
  await t.test(`not ${what}`, async t => {
    const file = join(t.testdir({ [name]: content }), name)
    const error = await loadApplication(file).catch((error: unknown) => error) as Error & { code: string }
    t.equal(error.code, 'FST_ERR_BGT_INVALID_APP')
    t.ok(error.message.startsWith(`${file} has to export by default`))
    t.match(error.message, problem)
  })
}

await t.test('what a file or a function throws is passed on', async t => {
  for (const content of ['throw new Error("no settings")', 'export default () => { throw new Error("no settings") }']) {
    const file = join(t.testdir({ 'app.mjs': content }), 'app.mjs')
    await t.rejects(loadApplication(`${file}`), { message: 'no settings' })
  }
})
