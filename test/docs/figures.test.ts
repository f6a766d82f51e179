import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { optionsSchema } from '../../lib/options.ts'
import { root } from '../helpers/child.ts'

function read (file: string): string {
  return readFileSync(join(root, file), 'utf8')
}

const docs = readdirSync(join(root, 'docs')).filter(file => file.endsWith('.md')).map(file => `docs/${file}`)

await t.test('README and types have the defaults of the plugin\'s options', async t => {
  const readme = read('README.md')
  const types = read('types/options.ts')
  for (const [name, schema] of Object.entries(optionsSchema.properties)) {
    const { default: value } = schema as { default?: unknown }
    if (typeof value === 'object' || value === undefined) continue
    const figure = typeof value === 'number' ? value.toLocaleString('en') : `'${value as string}'`
    const cell = typeof value === 'number' ? figure : `\`${figure}\``
    t.match(readme, new RegExp(`^\\| \`${name}\` \\| [^|]+ \\| ${cell} \\|`, 'm'), name)
    const [, comment = ''] = new RegExp(`/\\*\\*((?:(?!\\*/)[^])*)\\*/\\n  ${name}\\?:`).exec(types) ?? []
    t.match(comment, new RegExp(`Default (?:\`|)${figure.replaceAll("'", '')}`), name)
  }
  t.match(read('docs/queues.md'), "the plugin's, 8,000")
})

await t.test('docs/performance.md has every framework that was measured, and its versions', async t => {
  const page = read('docs/performance.md')
  const { results } = JSON.parse(read('bench/results/peers.json')) as { results: { name: string, versions: Record<string, string> }[] }
  for (const { name, versions } of results) {
    t.ok(page.includes(`\n| ${name} |`), name)
    for (const version of Object.values(versions)) t.ok(page.includes(version), `${name}: ${version}`)
  }
  t.equal(page.match(/^\| .* \([\d,]+ to [\d,]+\) \| [\d.]+ \(.*\) \| \d+ \|/gm)!.length, results.length, 'and no other')
})

await t.test('pages say what is, and not what was aimed at', async t => {
  for (const page of ['README.md', ...docs]) t.notMatch(read(page), /\b(targets?|missed)\b/i, page)
})
