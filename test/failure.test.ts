import t from 'tap'
import { FST_ERR_BGT_TIMEOUT } from '../lib/errors.ts'
import { describeFailure } from '../lib/failure.ts'

await t.test('name, message and code are kept, and nothing else', t => {
  t.strictSame(describeFailure(new RangeError('too far', { cause: 'secret' })), { name: 'RangeError', message: 'too far' })
  t.strictSame(describeFailure(new FST_ERR_BGT_TIMEOUT('mail', 5)), {
    name: 'FastifyError',
    message: 'Task "mail" took longer than 5 ms',
    code: 'FST_ERR_BGT_TIMEOUT'
  })
  t.strictSame(describeFailure(Object.assign(new Error('no'), { code: 42 })), { name: 'Error', message: 'no' })
  t.end()
})

await t.test('name and message are strings, whatever they were', t => {
  t.strictSame(describeFailure(Object.assign(new Error(), { name: 7, message: { a: 1 } }) as never), { name: '7', message: '[object Object]' })
  t.end()
})

await t.test('an error that throws when it is read does no harm', t => {
  const error = Object.defineProperty(new Error('no'), 'message', { get () { throw new Error('unreadable') } })
  t.strictSame(describeFailure(error), { name: 'Error', message: 'an error that throws when it is read' })
  const other = Object.assign(new Error(), { message: Object.create(null) as object })
  t.strictSame(describeFailure(other as never), { name: 'Error', message: 'an error that throws when it is read' })
  t.end()
})
