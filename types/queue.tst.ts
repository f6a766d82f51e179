import { Type } from '@sinclair/typebox'
import Fastify from 'fastify'
import { describe, expect, test } from 'tstyche'
import {
  backgroundTasks, defineTask, type Enqueued, type Health, type QueueAdapter, type StandardSchema, startWorker,
  type TaskInfo, type Worker
} from '../lib/index.ts'
import { memory, type MemoryStore } from '../lib/adapters/memory/index.ts'

const app = Fastify()
await app.register(backgroundTasks)
const { backgroundTasks: tasks } = app

const welcome = defineTask({ name: 'welcome', payload: Type.Object({ to: Type.String() }), run () {} })
const sweep = defineTask({ name: 'sweep', run () {} })
const dated = defineTask({ name: 'dated', payload: {} as StandardSchema<string, Date>, run () {} })

describe('enqueue(task, payload, options?)', () => {
  test('takes a payload of the schema, as it is before it is validated', () => {
    expect(tasks.enqueue(welcome, { to: 'ada@example.org' })).type.toBe<Promise<Enqueued>>()
    expect(tasks.enqueue(welcome, { to: 'ada@example.org' }, {
      delay: 1_000, priority: 1, key: 'a', tx: {}
    })).type.toBe<Promise<Enqueued>>()
    expect(tasks.enqueue(sweep)).type.toBe<Promise<Enqueued>>()
    expect(tasks.enqueue(sweep, undefined, { delay: 1_000 })).type.toBe<Promise<Enqueued>>()
    expect(tasks.enqueue(dated, '2026-11-20')).type.toBe<Promise<Enqueued>>()
  })

  test('refuses another payload, other options, and what is no task', () => {
    expect(tasks.enqueue).type.not.toBeCallableWith(welcome)
    expect(tasks.enqueue).type.not.toBeCallableWith(welcome, { to: 1 })
    expect(tasks.enqueue).type.not.toBeCallableWith(dated, new Date())
    expect(tasks.enqueue).type.not.toBeCallableWith(sweep, { to: 'ada@example.org' })
    expect(tasks.enqueue).type.not.toBeCallableWith(sweep, undefined, { timeout: 1_000 })
    expect(tasks.enqueue).type.not.toBeCallableWith(() => {})
  })

  test('is the same in a request, which has nothing else of the queue', () => {
    app.get('/', request => {
      expect(request.backgroundTasks.enqueue).type.toBe(tasks.enqueue)
      expect(request.backgroundTasks.enqueueMany).type.toBe(tasks.enqueueMany)
      expect(request.backgroundTasks).type.not.toHaveProperty('status')
      expect(request.backgroundTasks).type.not.toHaveProperty('work')
    })
  })

  test('says what it has stored, read-only', async () => {
    const enqueued = await tasks.enqueue(sweep)
    expect(enqueued.id).type.toBe<string>()
    expect(enqueued.deduplicated).type.toBe<boolean>()
    expect<Enqueued>().type.toBe<Readonly<Enqueued>>()
  })
})

test('enqueueMany takes payloads of one task, and no key', () => {
  expect(tasks.enqueueMany(welcome, [{ to: 'ada@example.org' }], { delay: 1_000 })).type.toBe<Promise<Enqueued[]>>()
  expect(tasks.enqueueMany(dated, ['2026-11-20'] as const)).type.toBe<Promise<Enqueued[]>>()
  expect(tasks.enqueueMany).type.not.toBeCallableWith(welcome, { to: 'ada@example.org' })
  expect(tasks.enqueueMany).type.not.toBeCallableWith(welcome, [{ to: 1 }])
  expect(tasks.enqueueMany).type.not.toBeCallableWith(welcome, [{ to: 'ada@example.org' }], { key: 'a' })
})

test('a schedule has the payload of its task', () => {
  expect(tasks.schedule(welcome, {
    cron: '0 6 * * *', timezone: 'Europe/Berlin', payload: { to: 'ada@example.org' }, name: 'daily'
  })).type.toBe<Promise<void>>()
  expect(tasks.schedule).type.not.toBeCallableWith(welcome, { cron: '0 6 * * *', payload: { to: 1 } })
  expect(tasks.schedule).type.not.toBeCallableWith(sweep, {})
  expect(tasks.unschedule('daily')).type.toBe<Promise<boolean>>()
})

test('jobs and tasks of this process are followed in one way', async () => {
  const info = await tasks.status('id')
  expect(info).type.toBe<TaskInfo | null>()
  expect(info!.state).type.toBe<
    | 'pending' | 'scheduled' | 'running' | 'retrying'
    | 'completed' | 'failed' | 'cancelled' | 'skipped' | 'escalated' | 'lost'
  >()
  expect(tasks.cancel('id')).type.toBe<Promise<'cancelled' | 'running' | 'finished' | 'not-found'>>()
  expect(tasks.health()).type.toBe<Promise<Health>>()
})

test('an adapter keeps the type of its engine, and fits the option', () => {
  expect(memory()).type.toBe<QueueAdapter<MemoryStore>>()
  expect(memory().native).type.toBe<MemoryStore>()
  expect(app.register).type.toBeCallableWith(backgroundTasks, { adapter: memory(), overflow: 'escalate' as const })
  expect(app.register).type.not.toBeCallableWith(backgroundTasks, { adapter: memory })
})

test('what a task escalates for and requires is checked', () => {
  expect(defineTask).type.toBeCallableWith({
    name: 'a',
    escalate: ['overflow', 'shutdown', 'failure'],
    requires: ['transactional'],
    queue: 'mails',
    priority: 1,
    version: 2,
    run () {}
  })
  expect(defineTask).type.not.toBeCallableWith({ name: 'a', requires: ['transactions'], run () {} })
  expect(defineTask).type.not.toBeCallableWith({ name: 'a', escalate: 'failure', run () {} })
})

test('a worker is started from inside and from outside of the application', () => {
  expect(tasks.work({ queues: ['mails'], concurrency: 5 })).type.toBe<Promise<Worker>>()
  expect(startWorker(app, { drainTimeout: 1_000 })).type.toBe<Promise<Worker>>()
  expect(tasks.work).type.not.toBeCallableWith({ queue: 'mails' })
})
