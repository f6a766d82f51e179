import { H3, serve } from 'h3'
import { port, ran, scenarios } from './scenarios.js'

const app = new H3()
for (const [name, { tasks, finish }] of Object.entries(scenarios)) {
  app.post(`/${name}`, async event => {
    await event.req.json()
    for (const task of tasks) event.waitUntil(task())
    return finish()
  })
}
app.get('/ran', () => ran)
serve(app, { port, hostname: '127.0.0.1', silent: true })
