import Koa from 'koa'
import { json } from 'node:stream/consumers'
import onFinished from 'on-finished'
import { port, ran, runEach, scenarios } from './scenarios.js'

const app = new Koa()
app.use(async context => {
  if (context.path === '/ran') {
    context.body = ran
    return
  }
  const { tasks, finish } = scenarios[context.path.slice(1)]
  await json(context.req)
  onFinished(context.res, () => runEach(tasks))
  context.body = await finish()
})

const server = app.listen(port, '127.0.0.1')
process.on('SIGTERM', () => { server.close() })
