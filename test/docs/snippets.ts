import { readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { root } from '../helpers/child.ts'

const packages = ['@sinclair/typebox', 'close-with-grace', 'fastify', 'fastify-plugin', 'libsql']

/** A page's blocks of JavaScript, in order, each with the heading that it stands below. */
export function snippetsOf (page: string): { heading: string, code: string }[] {
  const parts = readFileSync(join(root, page), 'utf8').matchAll(/^#+ (.*)$|^```js\n([^]*?)^```$/gm)
  let heading = ''
  const snippets = []
  for (const [, title, code] of parts) {
    if (code === undefined) heading = title!
    else snippets.push({ heading, code })
  }
  return snippets
}

/** A folder like that of somebody who uses the package, with these files. */
export function project (t: Test, files: Record<string, string>): string {
  const folder = t.testdir({ 'package.json': '{ "type": "module" }', node_modules: { '@sinclair': {} } })
  for (const name of packages) symlinkSync(join(root, 'node_modules', name), join(folder, 'node_modules', name), 'junction')
  symlinkSync(root, join(folder, 'node_modules/fastify-background-tasks'), 'junction')
  for (const [name, code] of Object.entries(files)) writeFileSync(join(folder, name), code)
  return folder
}

/** README's first example, with what it leaves to the reader. Its port comes from the environment. */
export function firstExample (): string {
  const { code } = snippetsOf('README.md')[0]!
  return `${code.replace('port: 3000', 'port: Number(process.env.PORT)')}
    async function createUser ({ email }) { return { email } }
    async function sendWelcomeMail (email) { console.log('welcome, ' + email) }
  `
}
