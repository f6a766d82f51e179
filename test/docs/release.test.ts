import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import plugin from '../../lib/index.ts'
import routes from '../../lib/routes/index.ts'
import { root, withoutCoverage } from '../helpers/child.ts'

function read (file: string): string {
  return readFileSync(join(root, file), 'utf8')
}

interface Manifest {
  scripts: Record<string, string>
  peerDependencies: Record<string, string>
  peerDependenciesMeta: Record<string, unknown>
  publishConfig: unknown
}
const manifest = JSON.parse(read('package.json')) as Manifest

void t.test('the peers', async t => {
  const suites = /^ +suite: \[(.*)\]$/m.exec(read('.github/workflows/ci.yml'))![1]!.split(', ')
  const listed = execFileSync(process.execPath, [join(root, 'test/peers.js'), '--list'], { encoding: 'utf8', env: withoutCoverage({ NODE_OPTIONS: '' }) })
  const tried = JSON.parse(listed) as Record<string, string[]>
  t.strictSame(suites, Object.keys(tried), 'the workflow runs each suite')
  const peers = Object.keys(manifest.peerDependencies)
  t.strictSame(peers.filter(name => !Object.values(tried).flat().includes(name)), [], 'a suite tries each')
  t.strictSame(peers.filter(name => !(name in manifest.peerDependenciesMeta)), ['fastify'], 'only Fastify is not optional')
  for (const each of [plugin, routes]) {
    const { fastify } = (each as unknown as Record<symbol, { fastify: string }>)[Symbol.for('plugin-meta')]!
    t.equal(fastify, manifest.peerDependencies.fastify, 'a plugin asks for the Fastify that package.json asks for')
  }
})

void t.test('what gets published', async t => {
  t.strictSame(manifest.publishConfig, { access: 'public', provenance: true })
  t.equal(manifest.scripts.prepack, 'npm run build', 'is built')
  t.notOk('prepare' in manifest.scripts, 'and "npm ci" builds nothing')
  t.notMatch(read('package-lock.json'), '"resolved"', 'the lock file names no registry')
})

void t.test('the security policy', async t => {
  t.match(read('README.md'), '](docs/security.md)')
  t.match(read('README.md'), '](SECURITY.md)')
  t.notMatch(read('SECURITY.md'), /\S@\S/, 'it makes up no address')
})
