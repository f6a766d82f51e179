import t from 'tap'
import { checkJson } from '../lib/json.ts'

const LIMIT = 100

function check (payload: unknown): void {
  checkJson('mail', payload, LIMIT)
}

const cycle: { self?: unknown } = {}
cycle.self = [cycle]

class Money {}

let deep: unknown = 1
for (let level = 0; level < 20_000; level++) deep = [deep]

const refused: [what: string, payload: unknown, problem: string][] = [
  ['a bigint', { amount: 1n }, 'payload/amount is a bigint'],
  ['a function', [() => {}], 'payload/0 is a function'],
  ['a symbol', Symbol('a'), 'payload is a symbol'],
  ['NaN', { a: { b: NaN } }, 'payload/a/b is NaN'],
  ['Infinity', -Infinity, 'payload is -Infinity'],
  ['undefined in an array', { list: [1, undefined] }, 'payload/list/1 is undefined'],
  ['a Date', { at: new Date(0) }, 'payload/at is a Date: pass its toISOString()'],
  ['a Map', new Map(), 'payload is an instance of Map'],
  ['an instance of a class', { price: new Money() }, 'payload/price is an instance of Money'],
  ['an Error', new Error('no'), 'payload is an instance of Error'],
  ['a Buffer', Buffer.from('a'), 'payload is an instance of Buffer'],
  ['a cycle', cycle, 'payload/self/0 is part of itself'],
  ['an object of no class', Object.create(Object.create(Object.create(null) as object) as object), 'payload is an instance of undefined'],
  ['a hole in an array', { list: new Array<number>(1) }, 'payload/list/0 is undefined'],
  ['what overflows the stack', deep, 'payload is nested more than 500 levels deep'],
  ['a toJSON of its own', { toJSON () {} }, 'payload/toJSON is a function']
]

for (const [what, payload, problem] of refused) {
  await t.test(`${what} is refused, with its path`, t => {
    // Whether JSON.stringify overflows is the Node.js version's.
    t.throws(() => checkJson('mail', payload, Infinity), {
      code: 'FST_ERR_BGT_INVALID_PAYLOAD',
      message: `The payload of task "mail" does not fit its schema: ${problem}. A queue keeps JSON`
    })
    t.end()
  })
}

await t.test('JSON of any kind is accepted, and no payload at all', t => {
  const shared = { a: 1 }
  const accepted = [undefined, null, '', 'a', 0, -1.5, true, [], {}, [[null]], { a: undefined }, Object.create(null), { one: shared, two: shared }]
  for (const payload of accepted) t.doesNotThrow(() => check(payload))
  t.end()
})

await t.test('the limit is in bytes of JSON, and is itself allowed', t => {
  t.doesNotThrow(() => check('a'.repeat(LIMIT - 2)))
  t.throws(() => check('ä'.repeat(LIMIT / 2)), {
    code: 'FST_ERR_BGT_PAYLOAD_TOO_LARGE',
    statusCode: 413,
    message: 'The payload of task "mail" has 102 bytes as JSON, and the option "maxPayload" is 100: enqueue an id instead'
  })
  t.end()
})

await t.test('the size comes first: of a payload that is too large nothing else is looked at', t => {
  const looks: string[] = []
  const payload = new Proxy({ text: 'x'.repeat(LIMIT), at: new Date(0) }, {
    getPrototypeOf: target => {
      looks.push('prototype')
      return Object.getPrototypeOf(target) as object
    }
  })
  t.throws(() => check(payload), { code: 'FST_ERR_BGT_PAYLOAD_TOO_LARGE' })
  t.strictSame(looks, [])
  t.end()
})
