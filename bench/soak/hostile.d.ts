import type { FastifyBaseLogger } from 'fastify'
import type { StandardSchema, TaskContext } from '../../types/index.ts'
import type { Dice } from './dice.js'

export class Hostility extends Error {}

export class Hostile {
  constructor (dice: Dice, silent?: boolean)
  proxy (target: object, untouched?: string[]): object
  value (depth?: number): unknown
  error (depth?: number): unknown
  result (depth?: number): unknown
  function (work?: (...args: never[]) => unknown): () => unknown
  hooks (names: readonly string[]): Record<string, () => unknown>
  schema (): StandardSchema
  use (context: TaskContext): unknown
  raise (): never
}

export function hostileLogger (hostile: Hostile, dice: Dice): FastifyBaseLogger
