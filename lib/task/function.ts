import { isGeneratorFunction } from 'node:util/types'
import { FST_ERR_BGT_INVALID_TASK } from '../errors.ts'

/** The name of a function: any value may stand there, and reading it may throw. */
export function nameOf (fn: { readonly name: unknown }): string {
  try {
    const { name } = fn
    return typeof name === 'string' && name !== '' ? name : 'anonymous'
  } catch {
    return 'anonymous'
  }
}

const { getPrototypeOf } = Object
const ordinary = getPrototypeOf(() => {}) as object
const asynchronous = getPrototypeOf(async () => {}) as object

/** Spares most functions the look from outside of JavaScript, which costs more. */
function isOrdinary (fn: unknown): boolean {
  try {
    const prototype = getPrototypeOf(fn) as object | null
    return prototype === ordinary || prototype === asynchronous
  } catch {
    return false
  }
}

/** @throws FST_ERR_BGT_INVALID_TASK for a generator function: a call of it runs nothing. */
export function refuseGenerator (fn: unknown): void {
  if (isOrdinary(fn) || !isGeneratorFunction(fn)) return
  throw new FST_ERR_BGT_INVALID_TASK(
    'expected a function that runs when it is called, got a generator function, whose call only makes an iterator')
}
