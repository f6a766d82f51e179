export interface LogLine {
  readonly level: number
  readonly msg: string
  readonly [field: string]: unknown
}

/** Fastify's own logger, as an option of the server, with its lines kept for the test to read. */
export class LogLines {
  readonly all: LogLine[] = []
  readonly logger: { level: string, stream: { write: (line: string) => void } }

  constructor (level: string) {
    this.logger = { level, stream: { write: line => { this.all.push(JSON.parse(line) as LogLine) } } }
  }

  /** The lines about tasks. */
  get ofTasks (): LogLine[] {
    return this.all.filter(({ msg }) => msg.startsWith('background task'))
  }
}
