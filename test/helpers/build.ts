import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { root, withoutCoverage } from './child.ts'

/**
 * Brings dist/ up to date, for processes that import the package by its name. Test files run side by
 * side, so each file of dist/ is replaced in one step, never seen half written.
 */
export function build (): void {
  if (isBuilt()) return
  mkdirSync(join(root, '.tap'), { recursive: true })
  const out = mkdtempSync(join(root, '.tap', 'build-'))
  try {
    execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.build.json', '--outDir', out],
      { cwd: root, env: withoutCoverage(), stdio: 'inherit' })
    for (const file of filesIn(out)) {
      const target = join(root, 'dist', relative(out, file))
      mkdirSync(dirname(target), { recursive: true })
      renameSync(file, target)
    }
  } finally {
    rmSync(out, { recursive: true })
  }
}

function isBuilt (): boolean {
  const built = statSync(join(root, 'dist/lib/index.js'), { throwIfNoEntry: false })
  const sources = ['lib', 'types'].flatMap(folder => filesIn(join(root, folder)))
  return built !== undefined && sources.every(file => statSync(file).mtimeMs < built.mtimeMs)
}

function filesIn (folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name))
}
