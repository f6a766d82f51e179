import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/** A bare connection, for what an HTTP client does not do: pipelining, and leaving at a given moment. */
export async function dial (url: string): Promise<Socket> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  socket.on('error', () => {}) // of a connection that the test cuts
  await once(socket, 'connect')
  return socket
}

export function get (path: string, ...headers: string[]): string {
  return [`GET ${path} HTTP/1.1`, 'host: test', ...headers, '', ''].join('\r\n')
}

export function post (path: string, body: unknown): string {
  const json = JSON.stringify(body)
  return [`POST ${path} HTTP/1.1`, 'host: test', 'content-type: application/json', `content-length: ${json.length}`, '', json].join('\r\n')
}
