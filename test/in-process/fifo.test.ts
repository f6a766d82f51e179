import t from 'tap'
import { Fifo } from '../../lib/in-process/fifo.ts'

class Item {
  next: Item | undefined = undefined
  readonly value: number

  constructor (value: number) {
    this.value = value
  }
}

function drained (fifo: Fifo<Item>): number[] {
  const values: number[] = []
  for (let item; (item = fifo.shift()) !== undefined;) values.push(item.value)
  return values
}

await t.test('first in, first out', t => {
  const fifo = new Fifo<Item>()
  for (const value of [1, 2, 3]) fifo.push(new Item(value))
  t.equal(fifo.head?.value, 1)
  t.same(drained(fifo), [1, 2, 3])
  t.end()
})

await t.test('an empty one has no head and gives nothing', t => {
  const fifo = new Fifo<Item>()
  t.equal(fifo.head, undefined)
  t.equal(fifo.shift(), undefined)
  t.end()
})

await t.test('one that has run empty takes items again', t => {
  const fifo = new Fifo<Item>()
  fifo.push(new Item(1))
  fifo.shift()
  fifo.push(new Item(2))
  fifo.push(new Item(3))
  t.same(drained(fifo), [2, 3])
  t.end()
})

await t.test('unshift puts an item before all the others', t => {
  const fifo = new Fifo<Item>()
  fifo.push(new Item(2))
  fifo.unshift(new Item(1))
  fifo.push(new Item(3))
  t.same(drained(fifo), [1, 2, 3])
  t.end()
})

await t.test('unshift into an empty one leaves its end where push expects it', t => {
  const fifo = new Fifo<Item>()
  fifo.unshift(new Item(1))
  fifo.push(new Item(2))
  t.same(drained(fifo), [1, 2])
  t.end()
})

await t.test('an item that has been taken may wait again', t => {
  const fifo = new Fifo<Item>()
  fifo.push(new Item(1))
  fifo.push(new Item(2))
  const first = fifo.shift()!
  t.equal(first.next, undefined)
  fifo.push(first)
  t.same(drained(fifo), [2, 1])
  t.end()
})
