import { once } from 'node:events'
import { connect } from 'node:net'

const requests = {
  GET: 'GET / HTTP/1.1\r\nhost: bench\r\n\r\n',
  POST: 'POST / HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: 12\r\n\r\n{"id":12345}'
}

/**
 * Keep-alive connections that each send the next request when the last is answered. Good for the cost of
 * a request, not for latencies.
 */
export async function openConnections (port, count) {
  const sockets = []
  for (let i = 0; i < count; i++) {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    await once(socket, 'connect')
    sockets.push(socket)
  }

  return {
    async send (method, total) {
      let left = total
      const one = async socket => {
        while (left-- > 0) {
          socket.write(requests[method])
          const [chunk] = await once(socket, 'data')
          const isRight = chunk.includes('200 OK') && chunk.includes('{"ok":true}')
          if (!isRight) throw new Error(`unexpected answer: ${chunk}`)
        }
      }
      await Promise.all(sockets.map(one))
    },
    close () {
      for (const socket of sockets) socket.destroy()
    }
  }
}
