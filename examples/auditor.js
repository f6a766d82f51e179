// A dependency that adds tasks: preHandler and handler share it, and add to the same request.
import backgroundTasks from 'fastify-background-tasks'
import Fastify from 'fastify'
import auditor from './plugins/auditor.js'

const trail = []

const app = Fastify()
await app.register(backgroundTasks)
await app.register(auditor, { write: ({ request, action }) => trail.push(`${request} ${action}`) })

async function checkKey (request) {
  if (request.headers['x-api-key'] !== 'sesame') {
    request.audit('key refused')
    throw Object.assign(new Error('wrong key'), { statusCode: 401 })
  }
  request.audit('key accepted')
}

app.get('/report', { preHandler: checkKey }, async request => {
  request.audit('report read')
  return 'all is well'
})

for (const key of ['sesame', 'barley']) {
  const { statusCode } = await app.inject({ url: '/report', headers: { 'x-api-key': key } })
  await app.backgroundTasks.idle()
  console.log(`GET /report with the key "${key}": ${statusCode}`)
  for (const line of trail.splice(0)) console.log(`  ${line}`)
}

await app.close()
