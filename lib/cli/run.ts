import { createRequire } from 'node:module'
import { parseCommand, USAGE, UsageError } from './command.ts'
import type { Host } from './host.ts'
import { work } from './work.ts'

/** Does what the arguments say, and resolves with the exit code. */
export async function run (argv: string[], host: Host): Promise<number> {
  try {
    const command = parseCommand(argv)
    if (command === 'help') host.stdout.write(USAGE)
    else if (command === 'version') host.stdout.write(`${version()}\n`)
    else return await work(command, host)
    return 0
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    host.stderr.write(`fastify-background-tasks: ${error.message}\nSee: fastify-background-tasks --help\n`)
    return 2
  }
}

function version (): string {
  const manifest = createRequire(import.meta.url)('fastify-background-tasks/package.json') as { version: string }
  return manifest.version
}
