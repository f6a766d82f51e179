import { subscribe } from 'node:diagnostics_channel'
import { readFile, rm } from 'node:fs/promises'
import { performance } from 'node:perf_hooks'
import { setImmediate } from 'node:timers/promises'
import { openMailbox } from './mailbox.js'
import { buildService } from './service.js'

/** What has to happen, in this order. */
const EXPECTED = [
  'response 201',
  'task audit completed',
  'mail "Welcome, ada@example.com"',
  'task welcome-email completed',
  'task addToNewsletter failed',
  'task audit completed',
  'close called',
  'mail "Weekly digest"',
  'task weekly-digest completed',
  'closed'
]

/** Starts the service, makes one request and tells what happens. Returns whether it was what has to happen. */
export async function demo (auditFile) {
  const happened = []
  let start = 0

  function tell (event, details = '') {
    happened.push(event)
    console.log(`${(performance.now() - start).toFixed(0).padStart(5)} ms  ${event}${details && `: ${details}`}`)
  }

  // The plugin's own account of its tasks; the service need not know that somebody listens.
  subscribe('fastify-background-tasks.outcome', ({ name, outcome }) => {
    tell(`task ${name} ${outcome.state}`, outcome.error?.message)
  })

  const mailbox = await openMailbox(({ to, subject }) => tell(`mail "${subject}"`, `delivered to ${to}`))
  const app = await buildService({ smtp: mailbox.address, auditFile, logger: false })
  const url = await app.listen({ host: '127.0.0.1', port: 0 })

  start = performance.now()
  const response = await fetch(`${url}/users`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email: 'ada@example.com' })
  })
  tell(`response ${response.status}`, await response.text())
  await app.backgroundTasks.idle()

  const digest = app.backgroundTasks.add({ name: 'weekly-digest' }, () =>
    app.mailer.sendMail({ to: 'ada@example.com', subject: 'Weekly digest', text: 'One new user.' }))
  while (digest.state !== 'running') await setImmediate()
  tell('close called', 'weekly-digest is under way')
  await app.close()
  tell('closed', 'it has been waited for')
  await mailbox.close()

  const trail = await readFile(auditFile, 'utf8').catch(({ message }) => message)
  await rm(auditFile, { force: true })
  console.log(`\n${auditFile}\n${trail}`)
  console.log('stats', app.backgroundTasks.stats())

  const asExpected = happened.join() === EXPECTED.join()
  if (!asExpected) console.error('\nExpected in this order:', EXPECTED)
  return asExpected
}
