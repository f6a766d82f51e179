// Packs the package, installs the tarball into an empty folder, and uses it from there as users do.
import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const root = join(import.meta.dirname, '../..')
const folder = mkdtempSync(join(tmpdir(), 'fastify-background-tasks-'))
const { devDependencies } = createRequire(import.meta.url)('../../package.json')

function run (command, ...args) {
  return execFileSync(command, args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'], shell: process.platform === 'win32' })
}

let failed = 0
function step (name, work) {
  try {
    work()
    console.log(`ok - ${name}`)
  } catch (error) {
    failed++
    console.log(`not ok - ${name}\n${error.stdout ?? error.stack}`)
  }
}

cpSync(join(import.meta.dirname, 'consumer'), folder, { recursive: true })
for (const ending of ['cts', 'mts']) cpSync(join(folder, 'typed.ts'), join(folder, `typed.${ending}`))
writeFileSync(join(folder, 'package.json'), '{ "private": true }')
const [{ filename }] = JSON.parse(run('npm', 'pack', root, '--json', '--ignore-scripts'))
run('npm', 'install', '--no-audit', '--no-fund', `./${filename}`, ...['fastify', 'typescript', '@types/node'].map(name => `${name}@${devDependencies[name]}`))

step('ESM', () => run('node', 'esm.mjs'))
step('CommonJS', () => run('node', 'cjs.cjs'))
step('no engine installed', () => run('node', 'no-peers.mjs'))
step('the command', () => {
  const { version } = createRequire(import.meta.url)('../../package.json')
  if (run('npx', '--no', '--', 'fastify-background-tasks', '--version').trim() !== version) throw new Error(`the command does not say ${version}`)
})
const resolutions = {
  nodenext: ['--module', 'nodenext', 'typed.ts', 'typed.cts', 'typed.mts'],
  bundler: ['--module', 'esnext', '--moduleResolution', 'bundler', 'typed.ts']
}
for (const [name, args] of Object.entries(resolutions)) {
  step(`TypeScript, ${name}`, () => run('npx', 'tsc', '--noEmit', '--strict', '--target', 'es2023', '--types', 'node', ...args))
}
run('npm', 'install', '--no-audit', '--no-fund', `libsql@${devDependencies.libsql}`)
step('a queue in SQLite', () => run('node', 'sqlite.mjs'))
rmSync(folder, { recursive: true })
process.exitCode = failed === 0 ? 0 : 1
