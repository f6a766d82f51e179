import type { FastifyBaseLogger } from 'fastify'
import { cleanError, cleanText } from '../../engine-error.ts'
import { FST_ERR_BGT_STALLED } from '../../errors.ts'
import { writeLine } from '../../log.ts'

/** The subject of a line. */
export interface Subject {
  readonly queue?: string
  readonly task?: string
  readonly taskId?: string
  readonly err?: unknown
  /** How many. */
  readonly jobs?: number
}

/** ms. A trouble that comes and goes is told once in this time. */
const SILENCE = 10_000

/** Kinds of trouble that are remembered. */
const MAX_KINDS = 100

const uuid = /[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}/g

/**
 * The lines of an adapter in the application's log. Each trouble is told once, and again only after it was cured:
 * a server that is down is asked several times a second.
 */
export class TroubleLog {
  readonly #log: FastifyBaseLogger
  readonly #adapter: string
  readonly #told = new Map<string, { readonly at: number, lasts: boolean }>()
  #silent = false

  constructor (log: FastifyBaseLogger, adapter: string) {
    this.#log = log
    this.#adapter = adapter
  }

  info (message: string, subject?: Subject): void {
    this.#write('info', message, subject)
  }

  warn (message: string, subject?: Subject): void {
    this.#write('warn', message, subject)
  }

  error (message: string, subject?: Subject): void {
    this.#write('error', message, subject)
  }

  /** What an engine itself warns of, in its words, once in a while. */
  quote (message: string): void {
    const clean = cleanText(message)
    if (this.isNew(clean, false)) this.warn(clean)
  }

  /**
   * @param kind tells one trouble from another. By default it is the error's message, whichever job that names.
   * @param lasts until it is cured; `false` for what nobody sees the end of.
   */
  trouble (err: unknown, message: string, subject?: Subject, kind: string = kindOf(err), lasts: boolean = true): void {
    if (this.isNew(kind, lasts)) this.error(message, { ...subject, err })
  }

  /** Says that the troubles have ended, of one kind or of all, if any was told. */
  cured (message: string, kind?: string): void {
    // Some adapters ask after each statement.
    if (kind !== undefined && this.#told.get(kind)?.lasts !== true) return
    const lasting = [...this.#told].filter(([each, { lasts }]) => lasts && each === (kind ?? each))
    for (const [, told] of lasting) told.lasts = false
    if (lasting.length > 0) this.info(message)
  }

  /** Whether a trouble of this kind is to be told now. */
  isNew (kind: string, lasts: boolean = true): boolean {
    const told = this.#told.get(kind)
    const now = performance.now()
    if (this.#silent || (told !== undefined && (told.lasts || now - told.at < SILENCE))) return false
    this.#told.set(kind, { at: now, lasts })
    const [oldest] = this.#told.keys()
    if (this.#told.size > MAX_KINDS) this.#told.delete(oldest!)
    return true
  }

  /** The line of each task that has failed for good, about one that nobody could run to its end. */
  givenUp (subject: Subject & { readonly task: string }, times: number): void {
    const err = new FST_ERR_BGT_STALLED(subject.task, times)
    writeLine(this.#log, 'error', { adapter: this.#adapter, ...subject, err }, 'background task failed')
  }

  /** Closing breaks connections, which is no trouble. */
  silence (): void {
    this.#silent = true
  }

  #write (level: 'info' | 'warn' | 'error', message: string, { err, ...subject }: Subject = {}): void {
    const fields = { adapter: this.#adapter, ...subject, ...(err !== undefined && { err: cleanError(err) }) }
    writeLine(this.#log, level, fields, `background task queue: ${message}`)
  }
}

function kindOf (err: unknown): string {
  return cleanError(err).message.replace(uuid, '')
}
