import t from 'tap'
import { Ring } from '../../lib/in-process/ring.ts'

class Item {
  before: Item | undefined = undefined
  after: Item | undefined = undefined
}

const [a, b, c] = [new Item(), new Item(), new Item()]
const names = new Map([[a, 'a'], [b, 'b'], [c, 'c']])

function inside (ring: Ring<Item>): string {
  return ring.items().map(item => names.get(item)).join('')
}

await t.test('an empty ring has no items', t => {
  t.equal(inside(new Ring<Item>()), '')
  t.end()
})

await t.test('items keep the order of their entry, and enter once', t => {
  const ring = new Ring<Item>()
  for (const item of [a, a, b, c, a, c]) ring.add(item)
  t.equal(inside(ring), 'abc')
  for (const item of [a, b, c]) ring.delete(item)
  t.end()
})

for (const [first, second, third] of [[a, b, c], [a, c, b], [b, a, c], [b, c, a], [c, a, b], [c, b, a]] as const) {
  await t.test(`leaves: ${[first, second, third].map(item => names.get(item)).join(', ')}`, t => {
    const ring = new Ring<Item>()
    for (const item of [a, b, c]) ring.add(item)
    ring.delete(first)
    t.equal(inside(ring), 'abc'.replace(names.get(first)!, ''))
    ring.delete(first)
    ring.delete(second)
    t.equal(inside(ring), names.get(third))
    ring.delete(third)
    t.equal(inside(ring), '')
    t.end()
  })
}

await t.test('an item that has left enters again, as the last', t => {
  const ring = new Ring<Item>()
  for (const item of [a, b]) ring.add(item)
  ring.delete(a)
  ring.add(a)
  t.equal(inside(ring), 'ba')
  for (const item of [a, b]) ring.delete(item)
  t.end()
})

await t.test('what was in it is gone through to the end, whoever leaves meanwhile', t => {
  const ring = new Ring<Item>()
  for (const item of [a, b, c]) ring.add(item)
  for (const item of ring.items()) ring.delete(item)
  t.equal(inside(ring), '')
  t.end()
})
