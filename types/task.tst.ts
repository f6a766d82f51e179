import { Type } from '@sinclair/typebox'
import { expect, test } from 'tstyche'
import { defineTask, type StandardSchema, type Task, type TaskContext } from '../lib/index.ts'

declare const context: TaskContext

test('run receives the payload of a TypeBox schema', () => {
  const task = defineTask({
    name: 'welcome',
    payload: Type.Object({ to: Type.String(), copies: Type.Optional(Type.Integer()) }),
    run (payload, context) {
      expect(payload).type.toBe<{ to: string, copies?: number }>()
      expect(context).type.toBe<TaskContext>()
    }
  })
  expect(task.run).type.toBeCallableWith({ to: 'ada@example.org' }, context)
  expect(task.run).type.not.toBeCallableWith({ to: 1 }, context)
})

test('run receives the output of a Standard Schema validator', () => {
  const task = defineTask({
    name: 'dated',
    payload: {} as StandardSchema<string, Date>,
    run (payload) {
      expect(payload).type.toBe<Date>()
    }
  })
  expect(task).type.toBe<Task<string, Date>>()
})

test('run receives no payload where none is defined', () => {
  const task = defineTask({
    name: 'sweep',
    run (payload) {
      expect(payload).type.toBe<undefined>()
    }
  })
  expect(task).type.toBe<Task<undefined, undefined>>()
})

test('a wrong definition does not compile', () => {
  expect(defineTask).type.not.toBeCallableWith({ run () {} })
  expect(defineTask).type.not.toBeCallableWith({ name: 'sweep' })
  expect(defineTask).type.not.toBeCallableWith({ name: 'sweep', run () {}, timeOut: 5 })
  expect(defineTask).type.not.toBeCallableWith({ name: 'sweep', run () {}, escalate: ['later'] })
  expect(defineTask).type.not.toBeCallableWith({ name: 'sweep', payload: { type: 'object' }, run () {} })
  expect(defineTask).type.not.toBeCallableWith({ name: 'sweep', run () {}, retry: { backoff: 'linear' } })
})
