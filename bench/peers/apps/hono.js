import { serve } from '@hono/node-server'
import { Hono } from 'hono'
import { port, ran, runEach, scenarios } from './scenarios.js'

const app = new Hono()
for (const [name, { tasks, finish }] of Object.entries(scenarios)) {
  app.post(`/${name}`, async context => {
    await context.req.json()
    for (const task of tasks) runEach([task])
    return context.json(await finish())
  })
}
app.get('/ran', context => context.json(ran))

const server = serve({ fetch: app.fetch, port, hostname: '127.0.0.1' })
process.on('SIGTERM', () => {
  server.close(error => {
    if (error) console.error(error)
    process.exit(error ? 1 : 0)
  })
})
