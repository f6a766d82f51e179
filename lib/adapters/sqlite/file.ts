import { closeSync, openSync, statSync } from 'node:fs'

const OTHERS = 0o077

/** What a file is, whatever its name: the name may be given to another. */
interface Identity {
  readonly dev: number
  readonly ino: number
}

/** The file of a database, as it was when it was opened. */
export class DatabaseFile {
  readonly path: string
  readonly #opened: Identity | undefined

  /** @param path empty for a database in memory */
  constructor (path: string) {
    this.path = path
    this.#opened = this.#stat()
  }

  /** Whether it was deleted or replaced. SQLite goes on writing to such a file, and nobody would ever read that. */
  get isGone (): boolean {
    if (this.#opened === undefined) return false
    const now = this.#stat()
    return now?.ino !== this.#opened.ino || now.dev !== this.#opened.dev
  }

  /** Whether other users of this host may read or write it. Windows has other rights. */
  get isOpenToOthers (): boolean {
    return process.platform !== 'win32' && ((this.#stat()?.mode ?? 0) & OTHERS) !== 0
  }

  #stat (): Identity & { readonly mode: number } | undefined {
    return this.path === '' ? undefined : statSync(this.path, { throwIfNoEntry: false })
  }
}

/** Makes a file that only its owner may read, where there is none. SQLite gives those beside it the same rights. */
export function makeFile (path: string): void {
  if (path === ':memory:' || path.startsWith('file:')) return
  closeSync(openSync(path, 'a', 0o600))
}
