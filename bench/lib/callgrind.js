import { execFile, spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { openConnections } from './closed-loop.js'
import { startServer } from './server-process.js'

const run = promisify(execFile)

export const hasCallgrind = spawnSync('valgrind', ['--version']).status === 0

/**
 * What makes counts repeatable: no helper threads, and a nursery so large that no garbage is collected
 * while it counts. What garbage costs is in the CPU times.
 */
const v8 = ['--single-threaded', '--hash-seed=1', '--random-seed=1', '--min-semi-space-size=512', '--max-semi-space-size=512', '--expose-gc']

/**
 * Instructions a request of the whole server process in user space, over a socket, one request at a time.
 *
 * Counted in windows, of which the least is taken: V8 goes on compiling and discarding code long after
 * any warm-up, which adds millions of instructions to some windows, and to the others not one.
 */
export async function countInstructions (candidate, { method, warmUp = 60_000, windows = 8, requests = 250 }) {
  const folder = await mkdtemp(join(tmpdir(), 'bench-callgrind-'))
  const out = join(folder, 'out')
  const server = await startServer(candidate, {
    execPath: 'valgrind',
    execArgv: ['-q', '--tool=callgrind', '--instr-atstart=no', `--callgrind-out-file=${out}`, process.execPath, ...v8]
  })
  const control = option => run('callgrind_control', [option, String(server.pid)])
  try {
    const load = await openConnections(server.port, 1)
    await load.send(method, warmUp)
    await server.ask('gc')
    await control('--instr=on')
    const counts = []
    for (let part = 1; part <= windows; part++) {
      await load.send(method, requests)
      await control('--dump')
      const [, total] = /^(?:summary|totals): (\d+)/m.exec(await readFile(`${out}.${part}`, 'utf8'))
      counts.push(Number(total) / requests)
    }
    load.close()
    return Math.min(...counts)
  } finally {
    server.kill()
    await rm(folder, { recursive: true })
  }
}
