import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import type { WorkerOptions } from '../../types/index.ts'
import { checkWorkerOptions } from '../queue/worker-options.ts'

export const USAGE = `Usage: fastify-background-tasks worker <file> [options]

Runs the jobs of an application's queue, until SIGTERM or SIGINT. The application boots as it
does in the server, but never listens. <file> exports by default a Fastify instance, a plugin
(app, options), or a function without parameters that returns an instance.

Options:
  --queues <a,b>         queues to take jobs from (default: those of all tasks)
  --concurrency <n>      jobs under way at once, of each queue (default: 10)
  --drain-timeout <ms>   how long to wait for jobs at the end, before they are aborted and given
                         back to the queue (default: the plugin's drainTimeout)
  --health-port <port>   answer GET /live and GET /ready over HTTP (default: no)
  --health-host <host>   address to do that on (default: all)
  --health-details       let GET /ready tell the state of the queue and the figures of the worker,
                         to everybody who can reach the port (default: no)
  --log-level <level>    fatal, error, warn, info, debug, trace or silent (default: the
                         application's, info where it is a plugin)
  -h, --help
  -v, --version

Exit codes: 0 closed as asked, 1 could not start or crashed, 2 wrong usage, 3 not closed 10 s
after the drain timeout, 130 and 143 ended at once by a second signal.
`

/** The arguments make no command. */
export class UsageError extends Error {}

export interface WorkCommand {
  /** The absolute path of a file that exists. */
  readonly file: string
  readonly worker: WorkerOptions
  readonly health: { readonly port: number, readonly host?: string, readonly details?: boolean } | undefined
  readonly logLevel: string | undefined
}

const LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']

const options = {
  queues: { type: 'string', multiple: true },
  concurrency: { type: 'string' },
  'drain-timeout': { type: 'string' },
  'health-port': { type: 'string' },
  'health-host': { type: 'string' },
  'health-details': { type: 'boolean' },
  'log-level': { type: 'string' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean', short: 'v' }
} as const

/** @throws UsageError */
export function parseCommand (argv: string[]): 'help' | 'version' | WorkCommand {
  const { values, positionals } = parse(argv)
  if (values.help) return 'help'
  if (values.version) return 'version'
  return {
    file: fileOf(positionals),
    worker: workerOptions(values),
    health: healthOptions(values),
    logLevel: oneOf('log-level', values['log-level'], LEVELS)
  }
}

type Parsed = ReturnType<typeof parseArgs<{ options: typeof options, allowPositionals: true }>>
type Values = Parsed['values']

function parse (argv: string[]): Parsed {
  try {
    return parseArgs({ args: argv, options, allowPositionals: true })
  } catch (error) {
    // The first sentence says what is wrong, the others how to pass it as an argument.
    throw new UsageError((error as Error).message.split(/\. |\n/)[0])
  }
}

function fileOf ([name, file, ...rest]: string[]): string {
  if (name !== 'worker') {
    const given = name === undefined ? 'none' : `"${name}"`
    throw new UsageError(`expected the command "worker", got ${given}`)
  }
  if (file === undefined) throw new UsageError('"worker" needs the file of an application')
  if (rest.length > 0) throw new UsageError(`unexpected argument "${rest[0]}"`)
  const path = resolve(file)
  if (!existsSync(path)) throw new UsageError(`there is no file ${path}`)
  return path
}

function workerOptions ({ queues, concurrency, 'drain-timeout': drainTimeout }: Values): WorkerOptions {
  const worker: WorkerOptions = {
    ...(queues !== undefined && { queues: queues.flatMap(names => names.split(',')) }),
    ...(concurrency !== undefined && { concurrency: whole('concurrency', concurrency) }),
    ...(drainTimeout !== undefined && { drainTimeout: whole('drain-timeout', drainTimeout) })
  }
  try {
    checkWorkerOptions(worker)
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
  return worker
}

function healthOptions (values: Values): WorkCommand['health'] {
  const { 'health-port': port, 'health-host': host, 'health-details': details } = values
  if (port === undefined) {
    if (host !== undefined) throw new UsageError('--health-host needs --health-port')
    if (details !== undefined) throw new UsageError('--health-details needs --health-port')
    return undefined
  }
  return {
    port: whole('health-port', port, 65_535),
    ...(host !== undefined && { host }),
    ...(details !== undefined && { details })
  }
}

function whole (name: string, value: string, maximum = Number.MAX_SAFE_INTEGER): number {
  if (/^\d+$/.test(value) && Number(value) <= maximum) return Number(value)
  const limit = maximum < Number.MAX_SAFE_INTEGER ? ` up to ${maximum}` : ''
  throw new UsageError(`--${name} expects a whole number${limit}, got "${value}"`)
}

function oneOf (name: string, value: string | undefined, values: string[]): string | undefined {
  if (value === undefined || values.includes(value)) return value
  throw new UsageError(`--${name} expects one of ${values.join(', ')}, got "${value}"`)
}
