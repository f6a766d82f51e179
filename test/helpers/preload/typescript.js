// What Node.js 22 has built in. Types become blanks: every line and column stays where it is, and coverage needs no map.
// What was made once is kept, as each process would spend a quarter of a second on it.
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

const require = createRequire(import.meta.url)
const { version } = require('@swc/wasm-typescript/package.json')
const folder = fileURLToPath(new URL(`../../../.tap/javascript-${version}/`, import.meta.url))
mkdirSync(folder, { recursive: true })

/** @type {import('node:module').LoadHook} */
export async function load (url, context, nextLoad) {
  if (!url.endsWith('.ts')) return nextLoad(url, context)
  const { source } = await nextLoad(url, { ...context, format: 'module' })
  return { format: 'module', shortCircuit: true, source: javascriptOf(String(source), url) }
}

function javascriptOf (source, url) {
  const file = folder + createHash('sha256').update(source).digest('hex')
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if (error.code !== 'ENOENT') throw error
  }
  const { code } = require('@swc/wasm-typescript').transformSync(source, { mode: 'strip-only', filename: url })
  // In one step, as others may read it.
  const draft = `${file}.${process.pid}`
  writeFileSync(draft, code)
  renameSync(draft, file)
  return code
}
