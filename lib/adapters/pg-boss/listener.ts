import type { Client, Pool } from 'pg'

import { CONNECT_TIMEOUT } from './database.ts'

const RECONNECT = 1_000

/**
 * A connection of its own that LISTENs and comes back by itself. Notifications only save waiting for the
 * next poll, so that one which is lost while it is away does no harm.
 */
export class Listener {
  readonly #connect: () => Client
  readonly #channels = new Map<string, (payload: string) => void>()
  readonly #onConnect: () => void
  #client: Client | undefined
  #connected = false
  #timer: NodeJS.Timeout | undefined
  #closed = false

  constructor (pool: Pool, ClientOfPg: typeof Client, onConnect: () => void) {
    this.#connect = () => new ClientOfPg(pool.options)
    this.#onConnect = onConnect
  }

  get connected (): boolean {
    return this.#connected
  }

  on (channel: string, take: (payload: string) => void): void {
    this.#channels.set(channel, take)
  }

  /** Does not wait for the connection. */
  open (): void {
    this.#closed = false
    void this.#open()
  }

  close (): void {
    this.#closed = true
    clearTimeout(this.#timer)
    this.#lost(this.#client)
  }

  async #open (): Promise<void> {
    const client = this.#client = this.#connect()
    client.on('error', () => this.#lost(client))
    client.on('end', () => this.#lost(client))
    client.on('notification', ({ channel, payload = '' }) => this.#channels.get(channel)?.(payload))
    const tooLate = setTimeout(end, CONNECT_TIMEOUT, client)
    try {
      await client.connect()
      await client.query(Array.from(this.#channels.keys(), channel => `LISTEN "${channel}"`).join('; '))
      this.#connected = true
      this.#onConnect()
    } catch {
      this.#lost(client)
    } finally {
      clearTimeout(tooLate)
    }
  }

  #lost (client: Client | undefined): void {
    if (client === undefined || this.#client !== client) return
    this.#client = undefined
    this.#connected = false
    end(client)
    if (!this.#closed) this.#timer = setTimeout(() => { void this.#open() }, RECONNECT)
  }
}

/** Without waiting for a goodbye, which a server that hangs never says. */
function end (client: Client): void {
  void client.end()
  client.connection.stream.destroy()
}
