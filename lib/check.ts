import { type TLiteral, type TObject, type TSchema, type TUnion, Type } from '@sinclair/typebox'
import type { TypeCheck } from '@sinclair/typebox/compiler'
import { type ValueError, ValueErrorType } from '@sinclair/typebox/errors'
import { brief, FST_ERR_BGT_INVALID_OPTIONS } from './errors.ts'

/** The longest delay, in ms, that Node's timers keep: they fire at once for a longer one. */
export const MAX_TIMER: number = 2 ** 31 - 1

export type Checker = TypeCheck<TObject>

/** The schema of an optional duration in ms. */
export function ms (maximum: number, byDefault?: number): TSchema {
  return Type.Optional(Type.Number({ minimum: 0, maximum, ...(byDefault !== undefined && { default: byDefault }) }))
}

/** The schema of an optional whole number. */
export function count (minimum: number, byDefault?: number): TSchema {
  return Type.Optional(Type.Integer({ minimum, ...(byDefault !== undefined && { default: byDefault }) }))
}

export function oneOf<Value extends string> (values: readonly Value[], byDefault?: Value): TUnion<TLiteral<Value>[]> {
  return Type.Union(values.map(value => Type.Literal(value)), {
    expected: `Expected one of ${values.join(', ')}`,
    ...(byDefault !== undefined && { default: byDefault })
  })
}

/** @throws FST_ERR_BGT_INVALID_OPTIONS with the path, what was expected, and what came if that is no secret. */
export function check (checker: Checker, where: string, options: unknown): void {
  if (checker.Check(options)) return
  const error = checker.Errors(options).First()!
  const { path, schema, message } = error
  throw new FST_ERR_BGT_INVALID_OPTIONS(where + path, `${schema.expected ?? message}${got(error)}`)
}

/** An option that is misspelt, or in the wrong place, may be a URL with a password. */
function got ({ type, schema, value }: ValueError): string {
  if (type === ValueErrorType.ObjectAdditionalProperties) return ''
  if (typeof value !== 'string' || value === '' || isEnumeration(schema)) return `, got ${brief(value)}`
  return ', got a string'
}

function isEnumeration (schema: TSchema): boolean {
  const { anyOf = [] } = schema as { anyOf?: readonly TSchema[] }
  return anyOf.length > 0 && anyOf.every(schema => 'const' in schema)
}

/** Completes `given` by the schema's defaults. */
export function withDefaults<T extends object> ({ properties }: TObject, given: T): Required<T> {
  const entries = Object.entries(properties).map(([key, schema]) => {
    const byDefault: unknown = schema.default
    return [key, given[key as keyof T] ?? byDefault]
  })
  return Object.fromEntries(entries) as Required<T>
}

/** Whether a word is another one mistyped: up to two letters too many, too few or wrong. */
export function isAlmost (word: string, other: string): boolean {
  return word.toLowerCase() === other.toLowerCase() || distance(word, other, 2) <= 2
}

/** The number of letters to insert, delete or replace; above `limit` some number that is greater. */
function distance (a: string, b: string, limit: number): number {
  if (a === '' || b === '') return a.length + b.length
  if (limit < 0) return 1
  if (a[0] === b[0]) return distance(a.slice(1), b.slice(1), limit)
  const ways = [[a.slice(1), b], [a, b.slice(1)], [a.slice(1), b.slice(1)]] as const
  return 1 + Math.min(...ways.map(([rest, other]) => distance(rest, other, limit - 1)))
}
