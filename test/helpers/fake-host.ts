import { EventEmitter } from 'node:events'
import type { Host } from '../../lib/cli/host.ts'
import { latch } from './latch.ts'

/** A process that does not end, and keeps what is written. */
export class FakeHost extends EventEmitter {
  out = ''
  err = ''
  readonly #exited = latch<number>()
  readonly exited: Promise<number> = this.#exited.opened
  readonly stdout = { write: (text: string): void => { this.out += text } }
  readonly stderr = { write: (text: string): void => { this.err += text } }
  readonly exit = (code: number): void => this.#exited.open(code)

  get host (): Host {
    return this as unknown as Host
  }
}
