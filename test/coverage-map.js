import { skipWithoutRedisServer } from './helpers/redis-at-hand.js'

/** What is measured: not dist/, which some tests use as users do. */
const all = ['lib/*.ts', 'lib/*/*.ts', 'lib/*/*/*.ts', 'lib/*/*/*/*.ts']
const withoutBullmq = ['lib/*.ts', 'lib/*/*.ts', 'lib/*/!(bullmq)/*.ts', 'lib/*/*/*/*.ts']

if (skipWithoutRedisServer !== false) {
  process.once('exit', () => console.error(`Tests of BullMQ were not all run, and coverage leaves out lib/adapters/bullmq: ${skipWithoutRedisServer}`))
}

export default () => skipWithoutRedisServer === false ? all : withoutBullmq
