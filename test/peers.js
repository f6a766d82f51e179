// Runs the tests of the core or of an adapter with the lowest and with the newest versions that package.json allows of
// what they stand on, in a copy of the project: node test/peers.js [NAME...] [lowest | newest]
import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')
const { dependencies, peerDependencies } = JSON.parse(readFileSync(join(root, 'package.json')))
const ranges = { ...dependencies, ...peerDependencies }
const tap = (...files) => ['tap', '--disable-coverage', ...files]
const conformance = name => tap(`test/adapters/${name}/conformance.test.ts`)

const suites = {
  core: { packages: ['fastify', '@sinclair/typebox'], command: tap('test/{fastify,flow,routes,task}/*.test.ts', 'test/plugin.test.ts') },
  sqlite: { packages: ['better-sqlite3', 'libsql', 'croner'], command: conformance('sqlite') },
  bullmq: { packages: ['bullmq', 'ioredis'], command: conformance('bullmq') },
  'pg-boss': { packages: ['pg-boss', 'pg'], command: conformance('pg-boss') }
}

const ends = {
  /** A range begins with its lowest version: `>=11`, `^6.7.0`. */
  lowest: range => [.../\d+(?:\.\d+)*/.exec(range)[0].split('.'), '0', '0'].slice(0, 3).join('.'),
  newest: range => range
}

const args = process.argv.slice(2)
const strange = args.filter(arg => !(arg in suites) && !(arg in ends))
if (args[0] === '--list') {
  console.log(JSON.stringify(Object.fromEntries(Object.entries(suites).map(([name, { packages }]) => [name, packages]))))
  process.exit()
}
if (strange.length > 0) {
  throw new Error(`${strange} is none of ${[...Object.keys(suites), ...Object.keys(ends)].join(', ')}`)
}
const chosen = all => args.some(arg => arg in all) ? args.filter(arg => arg in all) : Object.keys(all)

/** The Node.js that the packages ask for, where this one is too old. `undefined` is this one. */
function nodeFor (manifests) {
  const wanted = manifests.map(({ engines }) => /^>=\s*(\d+(?:\.\d+)*)$/.exec(engines?.node)?.[1] ?? '0')
  const isOlder = wanted.some(version => process.versions.node.localeCompare(version, 'en', { numeric: true }) < 0)
  return isOlder ? 'node@24' : undefined
}

function attempt (name, end) {
  const { packages, command } = suites[name]
  const folder = mkdtempSync(join(tmpdir(), `peers-${name}-`))
  const run = (...command) => execFileSync('npx', command, {
    cwd: folder,
    stdio: 'inherit',
    shell: process.platform === 'win32',
    // What cannot run for want of a server is a failure.
    env: { ...process.env, CI: 'true' }
  })
  try {
    const files = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: root, encoding: 'utf8' })
    for (const file of files.split('\0')) if (file !== '') cpSync(join(root, file), join(folder, file))
    run('npm', 'install', '--no-audit', '--no-fund', ...packages.map(name => `${name}@${ends[end](ranges[name])}`))
    const manifests = packages.map(name => JSON.parse(readFileSync(join(folder, 'node_modules', name, 'package.json'))))
    const node = nodeFor(manifests)
    const versions = [...manifests.map(({ name, version }) => `${name} ${version}`), node ?? `node ${process.versions.node}`].join(', ')
    console.log(`== ${name}, ${end}: ${versions}`)
    try {
      run(...(node === undefined ? [] : ['--yes', '--package', node, '--']), ...command)
      return `ok - ${name}, ${end}: ${versions}`
    } catch {
      return `not ok - ${name}, ${end}: ${versions}`
    }
  } catch (error) {
    return `not ok - ${name}, ${end}: ${error.message}`
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const results = chosen(suites).flatMap(name => chosen(ends).map(end => attempt(name, end)))
console.log(['', ...results].join('\n'))
process.exitCode = results.some(result => result.startsWith('not ok')) ? 1 : 0
