import { isNativeError } from 'node:util/types'
import { framesOf } from './failure.ts'

/** Characters of a message. */
const MAX_MESSAGE = 1_000

/**
 * What engines put into messages of the data, and of where they run: values and names between quotes of any language,
 * JSON, URLs, users, hosts, addresses. Where quotes cannot be told apart, all between the first and the last goes.
 */
const details: readonly (readonly [pattern: RegExp, instead: string])[] = [
  [/["`«»„“”‹›「」][^]*["`«»„“”‹›「」]|["`«»„“”‹›「」][^]*/, '"…"'],
  [/(?<!\w)['‘’‚][^]*['‘’‚]|(?<!\w)['‘’‚][^]*/, "'…'"],
  [/[{[][^]*[}\]]|[{[][^]*/, '{…}'],
  [/\bUser \S+ has\b/g, 'User … has'],
  [/\S*:\/\/\S+/g, '…'],
  [/\S+@\S+/g, '…'],
  [/(?:[\da-f]{0,4}:){2,}[\da-f.]*/gi, '…'],
  [/[\w-]+(?:\.[\w-]+)+(?::\d+)?|[\w-]+:\d+/g, '…']
]

interface Engines {
  readonly name?: unknown
  readonly message?: unknown
  readonly code?: unknown
  readonly syscall?: unknown
}

/**
 * Makes of an engine's error one that may be logged, and may be a cause: of ioredis each has the command that failed
 * with its arguments, be it AUTH and the password; of pg, the row that was refused. What is kept is the name, the
 * code, the message without details, and the frames of the stack. Errors of ours stay as they are.
 */
export function cleanError (error: unknown): Error {
  try {
    if (isOurs(error)) return error
    if (!isError(error)) return new Error('a value that is not an Error')
    const { name, code } = wordsOf(error)
    const message = messageOf(error, code)
    const frames = framesOf(error)?.split('\n').filter(line => line.startsWith('    at ')) ?? []
    const clean = Object.assign(new Error(message), { name }, code === undefined ? undefined : { code })
    clean.stack = [`${name}: ${message}`, ...frames].join('\n')
    return clean
  } catch {
    return new Error('an error that throws when it is read')
  }
}

/** What is wrong, in a word that tells strangers nothing else. */
export function wordFor (error: Error): string {
  const { name, code } = wordsOf(error)
  // node:sqlite has SQLite's own words for the code, which are few.
  const { errstr } = error as { errstr?: unknown }
  if (typeof errstr === 'string') return errstr
  // Redis begins its refusals with a word.
  const [word = name] = name === 'ReplyError' ? /^[A-Z]+/.exec(error.message) ?? [] : []
  return code ?? (word === 'Error' ? 'see its cause' : word)
}

export function cleanText (text: string): string {
  const bounded = text.length > MAX_MESSAGE ? `${text.slice(0, MAX_MESSAGE)}…` : text
  return details.reduce((cleaned, [pattern, instead]) => cleaned.replace(pattern, instead), bounded).toWellFormed()
}

function isError (value: unknown): value is Error {
  return value instanceof Error || isNativeError(value)
}

export function isOurs (error: unknown): error is Error {
  return isError(error) && String((error as Engines).code).startsWith('FST_ERR_BGT_')
}

function wordsOf ({ name, code }: Engines): { name: string, code: string | undefined } {
  return { name: wordOf(name) ?? 'Error', code: wordOf(code) }
}

function wordOf (value: unknown): string | undefined {
  return typeof value === 'string' && /^\w{1,64}$/.test(value) ? value : undefined
}

/** Node's errors name the address or the file. One for a host with several addresses has no message. */
function messageOf ({ message, syscall }: Engines, code: string | undefined): string {
  if (code !== undefined && typeof syscall === 'string') return `${syscall} ${code}`
  return cleanText(String(message)) || (code ?? '')
}
