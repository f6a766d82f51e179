import { startWorker } from 'fastify-background-tasks'
import { makeApp } from './app.js'

// A worker of the first version whose clock is an hour ahead is not to give up what waits for the second.
await startWorker(await makeApp(), { unknown: { delay: 500, grace: 86_400_000 } })
process.send({ ready: true })
