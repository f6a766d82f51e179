export interface Latch<T> {
  readonly opened: Promise<T>
  open (value: T): void
}

/** A promise that the test resolves, in place of a sleep. */
export function latch<T = void> (): Latch<T> {
  let open!: (value: T) => void
  const opened = new Promise<T>(resolve => { open = resolve })
  return { opened, open }
}
