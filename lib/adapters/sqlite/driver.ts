import { brief, FST_ERR_BGT_INVALID_OPTIONS, FST_ERR_BGT_MISSING_PEER } from '../../errors.ts'
import { makeFile } from './file.ts'

export type SqliteValue = string | number | null

export interface SqliteStatement {
  run (...values: SqliteValue[]): { changes: number | bigint }
  all (...values: SqliteValue[]): unknown[]
}

/** An opened database of node:sqlite, better-sqlite3 or libsql, by the methods that they have in common. */
export interface SqliteLike {
  exec (sql: string): unknown
  prepare (sql: string): SqliteStatement
}

export interface OpenedFile extends SqliteLike {
  close (): unknown
}

type Driver = readonly [specifier: string, exported: string]

/** In order of preference: the one that needs no installation comes first. */
const DRIVERS: readonly Driver[] = [
  ['node:sqlite', 'DatabaseSync'], ['libsql', 'default'], ['better-sqlite3', 'default']
]

/**
 * @throws FST_ERR_BGT_MISSING_PEER where no driver is installed.
 * @throws FST_ERR_BGT_INVALID_OPTIONS for a file that cannot be opened.
 */
export async function openFile (file: string, drivers: readonly Driver[] = DRIVERS): Promise<OpenedFile> {
  for (const [specifier, name] of drivers) {
    const module = await load(specifier)
    if (module === undefined) continue
    try {
      makeFile(file)
      return new module[name]!(file)
    } catch (cause) {
      const problem = `Expected a file that ${specifier} can open, got ${brief(file)}: ${(cause as Error).message}`
      throw new FST_ERR_BGT_INVALID_OPTIONS('options/file', problem, { cause })
    }
  }
  throw new FST_ERR_BGT_MISSING_PEER('sqlite', 'libsql', 'libsql')
}

type Constructors = Record<string, new (file: string) => OpenedFile>

async function load (specifier: string): Promise<Constructors | undefined> {
  try {
    return await import(specifier) as Constructors
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ERR_MODULE_NOT_FOUND' || code === 'ERR_UNKNOWN_BUILTIN_MODULE') return undefined
    throw error
  }
}

export function isSqliteLike (value: unknown): value is SqliteLike {
  const { exec, prepare } = Object(value) as Partial<SqliteLike>
  return typeof exec === 'function' && typeof prepare === 'function'
}

/** Empty for a database in memory. */
export function fileOf (database: SqliteLike): string {
  const attached = database.prepare('pragma database_list').all() as { name: string, file: string }[]
  return attached.find(({ name }) => name === 'main')!.file
}

/** Someone else is writing: another process, or the application in a transaction of its own on this connection. */
export function isBusy (error: unknown): boolean {
  return ['BUSY', 'LOCKED'].includes(resultOf(error)) || isWithinTransaction(error)
}

export function isWithinTransaction (error: unknown): boolean {
  return /(?:within|inside) a transaction/.test((error as Error).message)
}

/** Asked in the one way that all drivers know: SQLite refuses to begin a second transaction. */
export function isInTransaction (database: SqliteLike): boolean {
  try {
    database.exec('begin')
  } catch (error) {
    if (isWithinTransaction(error)) return true
    throw error
  }
  database.exec('rollback')
  return false
}

/** Whether the commit may have reached the disk although it failed. All other errors roll back. */
export function isAmbiguous (error: unknown): boolean {
  return resultOf(error) === 'IOERR'
}

const RESULTS: Readonly<Record<number, string>> = { 5: 'BUSY', 6: 'LOCKED', 10: 'IOERR' }

/** SQLite's result code without its extension, which node:sqlite gives as a number and the others as a name. */
function resultOf (error: unknown): string {
  const { code, errcode } = error as { code?: unknown, errcode?: unknown }
  if (typeof errcode === 'number') return RESULTS[errcode & 0xff] ?? ''
  return /^SQLITE_([A-Z]+)/.exec(String(code))?.[1] ?? ''
}
