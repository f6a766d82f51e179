import { Type } from '@sinclair/typebox'
import t from 'tap'
import { defineTask } from '../../lib/index.ts'
import type { PayloadSchema, StandardResult, StandardSchema } from '../../types/index.ts'
import { makeApp } from '../helpers/app.ts'
import { turns } from '../helpers/timers.ts'

const run = (payload: unknown): unknown => payload

function standard<Input = unknown, Output = Input> (validate: StandardSchema<Input, Output>['~standard']['validate']): StandardSchema<Input, Output> {
  return { '~standard': { version: 1, vendor: 'test', validate } }
}

/** Whatever a validator in JavaScript may return. */
function lax (validate: (value: unknown) => unknown): StandardSchema {
  return standard(validate as () => StandardResult<unknown>)
}

await t.test('a TypeBox schema lets a payload through as it is', async t => {
  const task = defineTask({ name: 'mail', payload: Type.Object({ to: Type.String() }), run })
  const app = await makeApp(t, { tasks: [task] })
  const payload = { to: 'ada@example.com', more: 1 }
  const outcome = await app.backgroundTasks.add(task, payload).settled
  t.equal(outcome.state === 'completed' && outcome.result, payload)
})

await t.test('add refuses a payload before anything is kept', async t => {
  const task = defineTask({ name: 'mail', payload: Type.Object({ to: Type.String() }), run })
  const app = await makeApp(t, { tasks: [task] })
  t.throws(() => app.backgroundTasks.add(task, {} as never), { code: 'FST_ERR_BGT_INVALID_PAYLOAD', statusCode: 500 })
  t.throws(() => app.backgroundTasks.add(task, ...[] as unknown as [never]), { code: 'FST_ERR_BGT_INVALID_PAYLOAD' })
  t.equal(app.backgroundTasks.stats().added, 0)
})

await t.test('a TypeBox problem names the path and what was expected, never the value', t => {
  const payload = Type.Object({ user: Type.Object({ pin: Type.Number(), role: Type.Literal('admin') }), tags: Type.Array(Type.String()) })
  const task = defineTask({ name: 'mail', payload, run })
  const { message } = thrownBy(() => task.parse({ user: { pin: 'secret-1', role: 'secret-2' }, tags: ['x', ['secret-3']] } as never))
  t.equal(message, 'The payload of task "mail" does not fit its schema: ' +
    "payload/user/pin Expected number; payload/user/role Expected 'admin'; payload/tags/1 Expected string")
  t.end()
})

await t.test('at most five TypeBox problems are told', t => {
  const task = defineTask({ name: 'mail', payload: Type.Array(Type.Number()), run })
  const { message } = thrownBy(() => task.parse(['a', 'b', 'c', 'd', 'e', 'f', 'g'] as never))
  t.match(message, 'payload/4')
  t.notMatch(message, 'payload/5')
  t.end()
})

await t.test('a TypeBox schema that does not compile is refused when the task is defined', t => {
  const payload = Type.Ref('nowhere')
  const error = thrownBy(() => defineTask({ name: 'mail', payload, run }))
  t.match(error, { code: 'FST_ERR_BGT_INVALID_TASK', message: 'Invalid task: the payload schema of "mail" does not compile' })
  t.ok(error.cause instanceof Error)
  t.end()
})

const unknownKinds: [schema: unknown, got: string][] = [
  [{ type: 'object' }, "{ type: 'object' }"],
  [null, 'null'],
  ['string', "'string'"],
  [{ '~standard': {} }, "{ '~standard': {} }"]
]

for (const [schema, got] of unknownKinds) {
  await t.test(`a schema like ${got} is refused when the task is defined`, t => {
    t.throws(() => defineTask({ name: 'mail', payload: schema as PayloadSchema, run }), {
      code: 'FST_ERR_BGT_INVALID_TASK',
      message: `the payload of "mail" has to be a TypeBox 0.34 schema or a Standard Schema validator, got ${got}`
    })
    t.end()
  })
}

await t.test('a task without a schema takes no payload', async t => {
  const task = defineTask({ name: 'tidy', run })
  const app = await makeApp(t, { tasks: [task] })
  t.throws(() => app.backgroundTasks.add(task, { secret: 1 } as never), {
    code: 'FST_ERR_BGT_INVALID_PAYLOAD',
    message: 'The payload of task "tidy" does not fit its schema: it takes none, as it was defined without one'
  })
  const outcome = await app.backgroundTasks.add(task).settled
  t.hasStrict(outcome, { state: 'completed' })
})

await t.test('run receives what a Standard Schema validator makes of the payload', async t => {
  const task = defineTask({ name: 'mail', payload: standard<string, number>(value => ({ value: String(value).trim().length })), run })
  const app = await makeApp(t, { tasks: [task] })
  t.hasStrict(await app.backgroundTasks.add(task, ' four ').settled, { state: 'completed', result: 4 })
})

await t.test('a Standard Schema validator may be a function', t => {
  const schema = Object.assign(() => {}, standard(value => ({ value: [value] })))
  t.same(defineTask({ name: 'mail', payload: schema, run }).parse(1), [1])
  t.end()
})

await t.test('a validator keeps its this', t => {
  const schema = {
    '~standard': {
      version: 1,
      vendor: 'test',
      minimum: 3,
      validate (value: unknown): StandardResult<unknown> {
        return Number(value) < this.minimum ? { issues: [{ message: 'too small' }] } : { value }
      }
    }
  } as const
  const task = defineTask({ name: 'mail', payload: schema, run })
  t.equal(task.parse(3), 3)
  t.throws(() => task.parse(2), { message: 'does not fit its schema: payload too small' })
  t.end()
})

await t.test('the issues of a Standard Schema are told with their paths of keys and of {key}', t => {
  const issues = [
    { message: 'is missing', path: ['user', { key: 'name' }] },
    { message: 'is too long', path: ['tags', 0, { key: Symbol('s') }] },
    { message: 'is wrong' }
  ]
  const task = defineTask({ name: 'mail', payload: standard(() => ({ issues })), run })
  const { message } = thrownBy(() => task.parse({}))
  t.equal(message, 'The payload of task "mail" does not fit its schema: ' +
    'payload/user/name is missing; payload/tags/0/Symbol(s) is too long; payload is wrong')
  t.end()
})

await t.test('at most five issues of a Standard Schema are told', t => {
  const issues = Array.from({ length: 9 }, (_, index) => ({ message: `issue ${index}` }))
  const task = defineTask({ name: 'mail', payload: standard(() => ({ issues })), run })
  const { message } = thrownBy(() => task.parse({}))
  t.match(message, 'issue 4')
  t.notMatch(message, 'issue 5')
  t.end()
})

const thenables: [what: string, result: () => unknown][] = [
  ['a promise', () => Promise.resolve({ value: 1 })],
  ['a promise that rejects', () => Promise.reject(new Error('late'))],
  ['a promise that rejects and has a catch of its own', () => Object.assign(Promise.reject(new Error('late')), { catch: () => { throw new Error('no') } })],
  ['a foreign thenable', () => ({ then: (resolve: (result: unknown) => void) => resolve({ value: 1 }) })]
]

for (const [what, result] of thenables) {
  await t.test(`a validator that answers with ${what} is refused`, async t => {
    const task = defineTask({ name: 'mail', payload: lax(result), run })
    t.throws(() => task.parse({}), {
      code: 'FST_ERR_BGT_INVALID_PAYLOAD',
      message: 'The payload of task "mail" does not fit its schema: its validator is asynchronous, which add cannot wait for'
    })
    await turns() // an unhandledRejection would end the process now
  })
}

function thrownBy (fn: () => unknown): Error & { code: string } {
  try {
    fn()
  } catch (error) {
    return error as Error & { code: string }
  }
  throw new Error('did not throw')
}
