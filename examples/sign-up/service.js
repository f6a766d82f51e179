import { appendFile } from 'node:fs/promises'
import { Type } from '@sinclair/typebox'
import backgroundTasks, { defineTask } from 'fastify-background-tasks'
import Fastify from 'fastify'
import nodemailer from 'nodemailer'
import auditor from '../plugins/auditor.js'

export async function buildService ({ smtp, auditFile, logger }) {
  const app = Fastify({ logger })
  const mailer = nodemailer.createTransport({ ...smtp, pool: true }, { from: 'hello@example.com' })

  const welcomeEmail = defineTask({
    name: 'welcome-email',
    payload: Type.Object({ to: Type.String() }),
    timeout: 5_000,
    retry: { attempts: 3, delay: 500 },
    async run ({ to }, { log }) {
      const subject = `Welcome, ${to}`
      const { messageId } = await mailer.sendMail({ to, subject, text: 'It is good to have you here.' })
      log.info({ messageId }, 'welcome mail sent')
    }
  })

  await app.register(backgroundTasks, { tasks: [welcomeEmail] })
  await app.register(auditor, { write: entry => appendFile(auditFile, `${JSON.stringify(entry)}\n`) })

  app.decorate('mailer', mailer)
  // Tasks drain before any plugin closes, so they can use the mailer to the end.
  app.addHook('onClose', async () => mailer.close())

  app.post('/users', {
    schema: { body: Type.Object({ email: Type.String({ format: 'email' }) }) },
    preHandler: async request => request.audit('sign-up requested')
  }, async (request, reply) => {
    const { email } = request.body
    request.backgroundTasks.add(welcomeEmail, { to: email })
    request.backgroundTasks.add(addToNewsletter, email)
    request.audit('user created')
    reply.code(201)
    return { email }
  })

  return app
}

/** Fails, to show that the tasks after it run all the same. */
async function addToNewsletter (email) {
  throw new Error(`the newsletter service is down, ${email} was not added`)
}
