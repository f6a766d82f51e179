/** A first-in-first-out list threaded through its items' own `next`, so that waiting costs no allocation. */
export interface Linked<T> {
  next: T | undefined
}

export class Fifo<T extends Linked<T>> {
  head: T | undefined = undefined
  #tail: T | undefined = undefined

  push (item: T): void {
    if (this.#tail === undefined) this.head = item
    else this.#tail.next = item
    this.#tail = item
  }

  unshift (item: T): void {
    item.next = this.head
    this.head = item
    this.#tail ??= item
  }

  shift (): T | undefined {
    const item = this.head
    if (item === undefined) return undefined
    this.head = item.next
    if (this.head === undefined) this.#tail = undefined
    item.next = undefined
    return item
  }
}
