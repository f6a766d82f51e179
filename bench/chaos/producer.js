import { randomUUID } from 'node:crypto'
import { Dice } from '../soak/dice.js'
import { drawPayload, given, makeApp, note, task } from './app.js'

const dice = new Dice(given.seed)
const app = await makeApp()

app.setErrorHandler((error, _request, reply) => {
  const { code, message, id, ambiguous } = error
  return reply.code(error.statusCode ?? 500).send({ code, message, id, ambiguous })
})
app.post('/jobs', request => {
  const { job, key } = request.body
  return request.backgroundTasks.enqueue(task, { job, ...drawPayload(dice) }, key === undefined ? {} : { key })
})
app.post('/states', request => Promise.all(request.body.map(async id => {
  const info = await app.backgroundTasks.status(id)
  return info?.state ?? null
})))

/** As a script or a timer does it, outside of any request. */
async function enqueue () {
  const job = randomUUID()
  note('answers', { job, asked: true })
  try {
    note('answers', { job, status: 200, ...await app.backgroundTasks.enqueue(task, { job, ...drawPayload(dice) }) })
  } catch ({ statusCode, code, message, id, ambiguous }) {
    note('answers', { job, status: statusCode, code, message, id, ambiguous })
  }
}

const underWay = new Set()
const url = await app.listen({ host: '127.0.0.1', port: 0 })
const timer = setInterval(() => {
  if (underWay.size === 20) return
  const enqueued = enqueue().finally(() => underWay.delete(enqueued))
  underWay.add(enqueued)
}, 30)

process.on('message', async message => {
  if (message !== 'stop') return
  clearInterval(timer)
  await Promise.all(underWay)
  process.send({ stopped: true })
})
process.send({ url })
