import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TObject } from '@sinclair/typebox'
import t from 'tap'
import * as errors from '../../lib/errors.ts'
import { optionsSchema } from '../../lib/options.ts'
import { capabilities } from '../../lib/task/capability.ts'
import { hookNames } from '../../lib/task/settings.ts'
import { root } from '../helpers/child.ts'

const options = Object.keys(optionsSchema.properties)
const pluginHooks = Object.keys((optionsSchema.properties.hooks as TObject).properties)
const codes = Object.keys(errors).filter(name => name.startsWith('FST_ERR_BGT_'))

function read (...files: string[]): string {
  return files.map(file => readFileSync(join(root, file), 'utf8')).join('\n')
}

const readme = read('README.md')

/** The text below a heading of the second level, up to the next one. */
function section (heading: string): string {
  return new RegExp(`^## ${heading}\n([^]*?)(?=^## )`, 'm').exec(readme)?.[1] ?? ''
}

/** Whether a table has a row whose first cell names it. */
function hasRow (text: string, name: string): boolean {
  return new RegExp(`^\\| [^|]*\`${name}[\`.]`, 'm').test(text)
}

/** Whether an example has it as a method. */
function hasMethod (text: string, name: string): boolean {
  return new RegExp(`\\b${name} \\(`).test(text)
}

t.strictSame(options.filter(name => !hasRow(section('Options'), name)), [], 'README names every option of the plugin')

const hooks = [...new Set([...hookNames, ...pluginHooks])]
t.strictSame(hooks.filter(name => !hasMethod(section('Hooks'), name)), [], 'README names every hook')

const queues = read('docs/queues.md')
t.strictSame(capabilities.filter(name => !hasRow(queues, name)), [], 'docs/queues.md names every capability')

const docs = readdirSync(join(root, 'docs'), { encoding: 'utf8', recursive: true })
const pages = read('README.md', ...docs.filter(file => file.endsWith('.md')).map(file => join('docs', file)))
t.strictSame(codes.filter(code => !hasRow(pages, code)), [], 'a table of README or docs names every error code')

for (const [what, names] of Object.entries({ options, hooks, capabilities, codes })) {
  t.ok(names.length > 1, `there are ${what}`)
}
