import type { StartOptions } from '../../../../types/index.ts'

const levels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const

/** A logger that counts its lines. */
export class Notes {
  readonly counts: Record<string, number> = {}
  readonly log: StartOptions['log']

  constructor () {
    const log: Record<string, unknown> = { level: 'info', child: () => log }
    for (const level of levels) {
      this.counts[level] = 0
      log[level] = () => { this.counts[level]!++ }
    }
    this.log = log as unknown as StartOptions['log']
  }
}
