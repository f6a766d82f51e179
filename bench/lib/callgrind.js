import { execFile, spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { limit } from './child.js'
import { openConnections } from './closed-loop.js'
import { startServer } from './server-process.js'
import { quantile } from './statistics.js'

const run = promisify(execFile)

export const hasCallgrind = spawnSync('valgrind', ['--version']).status === 0

/**
 * What makes counts repeatable: no helper threads, a nursery so large that garbage is rarely collected, and
 * nothing that V8 does by the clock. What garbage costs is in the CPU times.
 */
const v8 = [
  '--single-threaded', '--hash-seed=1', '--random-seed=1', '--expose-gc',
  '--min-semi-space-size=512', '--max-semi-space-size=512',
  '--predictable-gc-schedule', '--no-memory-reducer', '--no-incremental-marking', '--no-flush-bytecode'
]

/** Instructions a request of each candidate, process by process. */
export function measureInstructions (candidates, processes) {
  return Promise.all(candidates.map(candidate =>
    Promise.all(Array.from({ length: processes }, () => limit(countInstructions, candidate)))))
}

/**
 * Instructions a request of the whole server process in user space, over a socket, one request at a time.
 *
 * Counted in small windows, of which the lower quartile is taken: long after any warm-up V8 now and then
 * compiles or collects garbage, which adds a million instructions to some windows, and to the others not one.
 */
async function countInstructions (candidate, { warmUp = 40_000, windows = 40, requests = 100 } = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'bench-callgrind-'))
  const out = join(folder, 'out')
  let server
  try {
    server = await startServer(candidate, {
      execPath: 'valgrind',
      execArgv: ['-q', '--tool=callgrind', '--instr-atstart=no', `--callgrind-out-file=${out}`, process.execPath, ...v8]
    })
    const control = option => run('callgrind_control', [option, String(server.pid)])
    const load = await openConnections(server.port, 1)
    await load.send(candidate.method, warmUp)
    await server.ask('gc')
    await control('--instr=on')
    const counts = []
    for (let part = 1; part <= windows; part++) {
      await load.send(candidate.method, requests)
      await control('--dump')
      const [, total] = /^(?:summary|totals): (\d+)/m.exec(await readFile(`${out}.${part}`, 'utf8'))
      counts.push(Number(total) / requests)
    }
    load.close()
    return quantile(counts, 0.25)
  } finally {
    server?.kill()
    await rm(folder, { recursive: true })
  }
}
