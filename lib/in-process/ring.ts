/** An item that can be in one ring at a time. */
export interface Ringed<T> {
  before: T | undefined
  after: T | undefined
}

/** A set in order of entry, threaded through its items: entering and leaving cost a fraction of what a Set's do. */
export class Ring<T extends Ringed<T>> {
  #first: T | undefined = undefined

  get first (): T | undefined {
    return this.#first
  }

  add (item: T): void {
    if (item.after !== undefined) return
    const first = (this.#first ??= item)
    const last = first.before ?? item
    item.before = last
    item.after = first
    last.after = first.before = item
  }

  delete (item: T): void {
    const { before, after } = item
    if (before === undefined || after === undefined) return
    before.after = after
    after.before = before
    if (this.#first === item) this.#first = after === item ? undefined : after
    item.before = item.after = undefined
  }

  /** A copy, as the ring may change while the caller goes through it. */
  items (): T[] {
    const items: T[] = []
    let item = this.#first
    while (item !== undefined) {
      items.push(item)
      item = item.after === this.#first ? undefined : item.after
    }
    return items
  }
}
