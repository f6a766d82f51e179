import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { npmVersions } from './list.js'

const cwd = fileURLToPath(new URL('.', import.meta.url))

function run (command, args, env = {}) {
  const { status, error, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8', env: { ...process.env, ...env } })
  if (status === 0) return
  throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? stderr.trim().split('\n').at(-1)}`)
}

/** Installs and builds what the peers need, unless `done` before. Returns name -> { versions } or { notRun: why }. */
export function install (peers, { done = false } = {}) {
  let failure
  if (!done && peers.some(peer => !peer.own)) {
    try {
      // Not `npm ci`: it refuses a lock file whose registry did not have the binaries of every platform.
      run('npm', ['install', '--no-save', '--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts'])
    } catch (error) {
      failure = error
    }
  }

  const ready = peer => {
    if (failure && !peer.own) throw failure
    if (peer.build && !done) run(process.execPath, peer.build.args, peer.build.env)
    return { versions: npmVersions(peer) }
  }
  return new Map(peers.map(peer => {
    try {
      return [peer.name, ready(peer)]
    } catch (error) {
      return [peer.name, { notRun: error.message }]
    }
  }))
}
