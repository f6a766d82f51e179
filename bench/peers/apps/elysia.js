import { node } from '@elysiajs/node'
import { Elysia } from 'elysia'
import { port, ran, scenarios } from './scenarios.js'

// Elysia parses a body only where it finds that the handler uses it.
const app = new Elysia({ adapter: node() })
for (const [name, { tasks, finish }] of Object.entries(scenarios)) {
  app.post(`/${name}`, ({ body }) => finish(body), { afterResponse: tasks })
}
app.get('/ran', () => ran)
app.listen({ port, hostname: '127.0.0.1' })
