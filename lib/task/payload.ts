import { KindGuard, type TSchema } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import type { PayloadSchema, StandardIssue, StandardSchema } from '../../types/index.ts'
import { brief, FST_ERR_BGT_INVALID_PAYLOAD, FST_ERR_BGT_INVALID_TASK } from '../errors.ts'
import { follow, isThenable } from '../thenable.ts'

type Parse = (payload: unknown) => unknown

const MAX_PROBLEMS = 5

/**
 * A function that returns the payload as `run` shall see it, or throws `FST_ERR_BGT_INVALID_PAYLOAD`.
 * Problems name paths and expectations, and no values of ours: these may be secrets, and errors are logged.
 */
export function payloadParser (name: string, schema: PayloadSchema | undefined): Parse {
  if (schema === undefined) return noPayload(name)
  if (isStandard(schema)) return standard(name, schema)
  if (KindGuard.IsSchema(schema)) return typebox(name, schema)
  throw new FST_ERR_BGT_INVALID_TASK(
    `the payload of "${name}" has to be a TypeBox 0.34 schema or a Standard Schema validator, got ${brief(schema, 0)}`
  )
}

function noPayload (name: string): Parse {
  return payload => {
    if (payload === undefined) return
    throw new FST_ERR_BGT_INVALID_PAYLOAD(name, 'it takes none, as it was defined without one')
  }
}

function typebox (name: string, schema: TSchema): Parse {
  let checker
  try {
    checker = TypeCompiler.Compile(schema)
  } catch (cause) {
    throw new FST_ERR_BGT_INVALID_TASK(`the payload schema of "${name}" does not compile`, { cause })
  }
  return payload => {
    if (checker.Check(payload)) return payload
    const problems: string[] = []
    for (const { path, message } of checker.Errors(payload)) {
      if (problems.push(`payload${path} ${message}`) === MAX_PROBLEMS) break
    }
    throw new FST_ERR_BGT_INVALID_PAYLOAD(name, problems.join('; '))
  }
}

function isStandard (schema: unknown): schema is StandardSchema {
  return typeof (schema as StandardSchema | null)?.['~standard']?.validate === 'function'
}

function standard (name: string, schema: StandardSchema): Parse {
  return payload => {
    const result = schema['~standard'].validate(payload)
    if (isThenable(result)) {
      follow(result).catch(() => {}) // refused below, whatever it says
      throw new FST_ERR_BGT_INVALID_PAYLOAD(name, 'its validator is asynchronous, which add cannot wait for')
    }
    if (result.issues === undefined) return result.value
    throw new FST_ERR_BGT_INVALID_PAYLOAD(name, result.issues.slice(0, MAX_PROBLEMS).map(problem).join('; '))
  }
}

function problem ({ message, path = [] }: StandardIssue): string {
  const keys = path.map(part => String(typeof part === 'object' ? part.key : part))
  return `${['payload', ...keys].join('/')} ${message}`
}
