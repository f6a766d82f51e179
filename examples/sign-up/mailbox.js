import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { setTimeout } from 'node:timers/promises'
import { SMTPServer } from 'smtp-server'

/** A real SMTP server on loopback, as slow as they are. Tells `onMail` what it has received. */
export async function openMailbox (onMail) {
  const smtp = new SMTPServer({
    disabledCommands: ['AUTH', 'STARTTLS'],
    async onData (stream, { envelope }, done) {
      const [, subject] = /^Subject: (.*?)\r?$/m.exec(await text(stream))
      await setTimeout(150)
      onMail({ to: envelope.rcptTo[0].address, subject })
      done()
    }
  })
  const server = smtp.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    address: { host: '127.0.0.1', port: server.address().port },
    close: () => new Promise(resolve => { smtp.close(resolve) })
  }
}
