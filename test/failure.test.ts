import t from 'tap'
import { FST_ERR_BGT_TIMEOUT } from '../lib/errors.ts'
import { describeFailure, toVerdictError } from '../lib/failure.ts'

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

await t.test('each part has a size', t => {
  const long = 'x'.repeat(100_000)
  const error = Object.assign(new Error(long), { name: long, code: long })
  const { name, message, code } = describeFailure(error)
  t.strictSame([name.length, message.length, code!.length], [128, 8_192, 128])
  t.equal(message, `${'x'.repeat(8_191)}…`)
  t.equal(describeFailure(error, 100).message.length, 100)
  t.equal(describeFailure(error, 1).message, '…')
  t.end()
})

await t.test('no half of a surrogate pair is left, whether it was there or a cut would make it', t => {
  t.equal(describeFailure(new Error('a\udc00b\ud800')).message, 'a\ufffdb\ufffd')
  t.equal(describeFailure(new Error('👍👍👍'), 4).message, '👍\ufffd…')
  t.end()
})

await t.test('for a queue, there are the frames of the stack, as far as they are known', t => {
  function fail (): Error {
    return new Error('first line\nsecond line')
  }
  const { stack, ...described } = toVerdictError(fail(), 1_000)
  t.strictSame(described, { name: 'Error', message: 'first line\nsecond line' })
  t.match(stack, /^ {4}at fail /)
  t.notMatch(stack, 'line')
  t.equal(toVerdictError(Object.assign(new Error('no'), { stack: `no\n    at ${'x'.repeat(100_000)}` }), 1_000).stack!.length, 8_192)
  for (const stack of [undefined, 'no frames', 7]) {
    t.strictSame(toVerdictError(Object.assign(new Error('no'), { stack } as object), 1_000), { name: 'Error', message: 'no' })
  }
  const unreadable = Object.defineProperty(new Error('no'), 'stack', { get () { throw new Error('unreadable') } })
  t.strictSame(toVerdictError(unreadable, 1_000), { name: 'Error', message: 'no' })
  t.end()
})
