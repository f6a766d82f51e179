// A job of your own transaction, in Django transaction.on_commit(): it exists if that commits. With SQLite the
// transaction is that of a connection to the same file. As there is an `await` in it, and others may begin one
// meanwhile, the connection is one that nobody else uses. For PostgreSQL see docs/queues.md.
import { Type } from '@sinclair/typebox'
import Fastify from 'fastify'
import Database from 'libsql'
import backgroundTasks, { defineTask, startWorker } from 'fastify-background-tasks'
import { ended } from './ended.js'
import { openQueue } from './open-queue.js'

const welcomeMail = defineTask({
  name: 'welcome-mail',
  payload: Type.Object({ to: Type.String() }),
  run: ({ to }) => console.log(`mail to ${to}`)
})

const queue = await openQueue({}, 'sqlite')
const app = Fastify()
await app.register(backgroundTasks, { adapter: queue.adapter, tasks: [welcomeMail] })
await startWorker(app)

const database = new Database(queue.name)
database.exec('pragma busy_timeout = 5000') // ms to wait for other processes that write
database.exec('create table users (email text primary key)')

async function signUp (email) {
  database.exec('begin immediate')
  try {
    const { id } = await app.backgroundTasks.enqueue(welcomeMail, { to: email }, { tx: database })
    database.prepare('insert into users values (?)').run(email)
    database.exec('commit')
    return id
  } catch (error) {
    database.exec('rollback')
    throw error
  }
}

await ended(app, [await signUp('ada@example.org')])
await signUp('ada@example.org').catch(error => console.log(`rolled back: ${error.message}`))
const { count } = database.prepare('select count(*) as count from background_tasks_jobs').get()
console.log(`${count} job was stored`)

database.close()
await app.close()
await queue.remove()
