import { once } from 'node:events'
import { Agent, type IncomingMessage, request } from 'node:http'
import { text } from 'node:stream/consumers'

export interface Load {
  /** Requests answered in full, by their number. */
  readonly answered: number[]
  /** Requests refused while the server was closing. */
  readonly refused: number[]
  /** Requests whose connection was closed before an answer began. */
  readonly unanswered: number[]
  /** Requests whose answer broke off. */
  readonly cut: number[]
}

/** Users who send POST requests one after the other over connections kept alive, until nobody listens there any more. */
export async function load (port: number, users: number, onAnswered: (count: number) => void): Promise<Load> {
  const agent = new Agent({ keepAlive: true, maxSockets: users })
  const result: Load = { answered: [], refused: [], unanswered: [], cut: [] }
  let next = 1

  async function user (): Promise<void> {
    for (;;) {
      const id = next++
      const sent = request({ agent, method: 'POST', host: '127.0.0.1', port, path: `/orders/${id}`, headers: { 'content-type': 'application/json' } })
      sent.end('{"some":"body"}')
      let response: IncomingMessage
      try {
        [response] = await once(sent, 'response') as [IncomingMessage]
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ECONNREFUSED') return
        result.unanswered.push(id)
        continue
      }
      const body = await text(response).catch(() => '')
      if (response.statusCode === 503) result.refused.push(id)
      else if (!body.endsWith('done')) result.cut.push(id)
      else onAnswered(result.answered.push(id))
    }
  }

  await Promise.all(Array.from({ length: users }, user))
  agent.destroy()
  return result
}
