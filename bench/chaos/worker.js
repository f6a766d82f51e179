import { startWorker } from 'fastify-background-tasks'
import { makeApp } from './app.js'

await startWorker(await makeApp(), { unknown: { delay: 500 } })
process.send({ ready: true })
