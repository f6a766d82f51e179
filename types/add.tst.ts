import { Type } from '@sinclair/typebox'
import Fastify, { type FastifyBaseLogger } from 'fastify'
import { describe, expect, test } from 'tstyche'
import {
  type BackgroundTasksOptions, backgroundTasks, defineTask, type Outcome, type StandardSchema, type Stats,
  type TaskHandle
} from '../lib/index.ts'

const app = Fastify()
await app.register(backgroundTasks)
const { backgroundTasks: tasks } = app

declare function mail (to: string, copies?: number): Promise<void>
declare function beat (): void
declare const mailer: {
  host: string
  send (this: { host: string }, to: string): void
  sendAll (this: { host: string }): void
}

describe('add(fn, ...args)', () => {
  test('takes the arguments of the function', () => {
    expect(tasks.add(mail, 'ada@example.org')).type.toBe<TaskHandle>()
    expect(tasks.add(mail, 'ada@example.org', 2)).type.toBe<TaskHandle>()
    expect(tasks.add(beat)).type.toBe<TaskHandle>()
  })

  test('gives the arguments their types in an inline function', () => {
    tasks.add((to, copies) => {
      expect(to).type.toBe<string>()
      expect(copies).type.toBe<number>()
    }, 'ada@example.org', 2)
  })

  test('refuses other arguments', () => {
    expect(tasks.add).type.not.toBeCallableWith(mail)
    expect(tasks.add).type.not.toBeCallableWith(mail, 1)
    expect(tasks.add).type.not.toBeCallableWith(mail, 'ada@example.org', 'two')
    expect(tasks.add).type.not.toBeCallableWith(mail, 'ada@example.org', 2, 3)
    expect(tasks.add).type.not.toBeCallableWith(beat, 1)
  })

  test('refuses a method that needs its this, which would be lost', () => {
    expect(tasks.add).type.not.toBeCallableWith(mailer.send, 'ada@example.org')
    expect(tasks.add).type.not.toBeCallableWith({ name: 'mail' }, mailer.sendAll)
    expect(tasks.add).type.toBeCallableWith((to: string) => mailer.send(to), 'ada@example.org')
    expect(tasks.add).type.toBeCallableWith(mailer.send.bind(mailer), 'ada@example.org')
  })

  test('refuses what is no function', () => {
    expect(tasks.add).type.not.toBeCallableWith()
    expect(tasks.add).type.not.toBeCallableWith('mail')
    expect(tasks.add).type.not.toBeCallableWith(mail('ada@example.org'))
  })
})

describe('add(options, fn)', () => {
  test('gives the function its context', () => {
    tasks.add({ name: 'mail', when: 'always', timeout: 5_000, retry: { attempts: 3 } }, context => {
      expect(context.id).type.toBe<string>()
      expect(context.attempt).type.toBe<number>()
      expect(context.signal).type.toBe<AbortSignal>()
      expect(context.log).type.toBe<FastifyBaseLogger>()
      expect(context.requestId).type.toBe<string | undefined>()
      expect(context).type.not.toHaveProperty('request')
    })
  })

  test('takes a number for retry', () => {
    expect(tasks.add({ retry: 3 }, beat)).type.toBe<TaskHandle>()
  })

  test('refuses unknown options, wrong values and a missing function', () => {
    expect(tasks.add).type.not.toBeCallableWith({ tiemout: 5_000 }, beat)
    expect(tasks.add).type.not.toBeCallableWith({ when: 'never' }, beat)
    expect(tasks.add).type.not.toBeCallableWith({ retry: '3' }, beat)
    expect(tasks.add).type.not.toBeCallableWith({ timeout: 5_000 })
    expect(tasks.add).type.not.toBeCallableWith({ timeout: 5_000 }, mail)
  })
})

describe('add(task, payload, options?)', () => {
  const welcome = defineTask({ name: 'welcome', payload: Type.Object({ to: Type.String() }), run () {} })
  const sweep = defineTask({ name: 'sweep', run () {} })
  const dated = defineTask({ name: 'dated', payload: {} as StandardSchema<string, Date>, run () {} })

  test('takes a payload of the schema', () => {
    expect(tasks.add(welcome, { to: 'ada@example.org' })).type.toBe<TaskHandle>()
    expect(tasks.add(welcome, { to: 'ada@example.org' }, { timeout: 1_000 })).type.toBe<TaskHandle>()
    expect(tasks.add(sweep)).type.toBe<TaskHandle>()
    expect(tasks.add(sweep, undefined, { timeout: 1_000 })).type.toBe<TaskHandle>()
    expect(tasks.add(dated, '2026-11-20')).type.toBe<TaskHandle>()
  })

  test('refuses another payload', () => {
    expect(tasks.add).type.not.toBeCallableWith(welcome)
    expect(tasks.add).type.not.toBeCallableWith(welcome, { to: 1 })
    expect(tasks.add).type.not.toBeCallableWith(welcome, {})
    expect(tasks.add).type.not.toBeCallableWith(sweep, { to: 'ada@example.org' })
    expect(tasks.add).type.not.toBeCallableWith(dated, new Date())
  })

  test('takes the owner of this one', () => {
    expect(tasks.add).type.toBeCallableWith(welcome, { to: 'ada@example.org' }, { owner: 'ada', retry: 3 })
    expect(tasks.add).type.not.toBeCallableWith(welcome, { to: 'ada@example.org' }, { owner: 1 })
    expect(tasks.add).type.not.toBeCallableWith({ owner: 'ada' }, beat)
    expect(defineTask).type.not.toBeCallableWith({ name: 'welcome', owner: 'ada', run () {} })
  })

  test('refuses a name, which the definition has', () => {
    expect(tasks.add).type.not.toBeCallableWith(welcome, { to: 'ada@example.org' }, { name: 'goodbye' })
  })
})

describe('what comes back', () => {
  test('an outcome tells its states apart', async () => {
    const outcome = await tasks.add(beat).settled
    expect(outcome).type.toBe<Outcome>()
    if (outcome.state === 'completed') expect(outcome.result).type.toBe<unknown>()
    if (outcome.state === 'failed') expect(outcome.error).type.toBe<Error>()
    if (outcome.state === 'lost') expect(outcome.reason).type.toBe<'overflow' | 'shutdown' | 'closed'>()
    if (outcome.state === 'completed') expect(outcome).type.not.toHaveProperty('error')
  })

  test('a handle is read-only', () => {
    const handle = tasks.add(beat)
    expect(handle.cancel()).type.toBe<'cancelled' | 'running' | 'finished'>()
    expect(tasks.stats()).type.toBe<Stats>()
    expect(tasks.idle({ timeout: 100 })).type.toBe<Promise<void>>()
  })
})

describe('the plugin', () => {
  test('has typed options', () => {
    expect(app.register).type.toBeCallableWith(backgroundTasks, { concurrency: 10, hooks: { onTaskLost () {} } })
    expect<BackgroundTasksOptions>().type.not.toBeAssignableFrom({ concurency: 10 })
    expect<BackgroundTasksOptions>().type.not.toBeAssignableFrom({ overflow: 'ignore' as const })
    expect<BackgroundTasksOptions>().type.not.toBeAssignableFrom({ hooks: { onTaskDone () {} } })
  })
})
