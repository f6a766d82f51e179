import afterResponse from 'after-response'
import express from 'express'
import { port, ran, scenarios } from './scenarios.js'

const app = express()
app.use(express.json())
for (const [name, { tasks, finish }] of Object.entries(scenarios)) {
  app.post(`/${name}`, ...tasks.map(task => afterResponse.onSuccess(task)), async (_request, response) => {
    response.json(await finish())
  })
}
app.get('/ran', (_request, response) => { response.json(ran) })

const server = app.listen(port, '127.0.0.1')
process.on('SIGTERM', () => { server.close() })
