// A sign-up service that sends mail and writes an audit log after it has answered.
//   npm run example    one request, what happens then, and the end
//   npm start          runs until Ctrl+C, to be tried with curl
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import closeWithGrace from 'close-with-grace'
import { demo } from './sign-up/demo.js'
import { openMailbox } from './sign-up/mailbox.js'
import { buildService } from './sign-up/service.js'

const auditFile = join(tmpdir(), `sign-up-audit-${process.pid}.log`)

if (process.argv.includes('--demo')) {
  process.exitCode = await demo(auditFile) ? 0 : 1
} else {
  const mailbox = await openMailbox(({ to, subject }) => console.log(`mail "${subject}" delivered to ${to}`))
  const app = await buildService({ smtp: mailbox.address, auditFile, logger: true })

  // Longer than the plugin's drainTimeout, so that tasks get their time.
  closeWithGrace({ delay: 15_000 }, async ({ err }) => {
    if (err) app.log.error(err)
    await app.close()
    await mailbox.close()
  })

  const url = await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT ?? 3000) })
  const body = '-H "content-type: application/json" -d "{\\"email\\":\\"ada@example.com\\"}"'
  console.log(`The audit log is ${auditFile}\nTry it:\n  curl -i ${url}/users ${body}`)
}
