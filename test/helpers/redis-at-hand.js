// Which Redis there is for tests. In JavaScript, for tap loads test/coverage-map.js as it is.
import { spawnSync } from 'node:child_process'
import { Redis } from 'ioredis'

const { CI = '', REDIS_URL } = process.env
const install = 'apt-get install redis-server, brew install redis'
const isCI = !['', '0', 'false'].includes(CI)
const local = 'redis://127.0.0.1:6379'

/** Why it is of no use, if so. */
export async function problemOf (url) {
  const client = new Redis(url, { lazyConnect: true, retryStrategy: null, maxRetriesPerRequest: 0, connectTimeout: 5_000, commandTimeout: 5_000 })
  let problem
  client.on('error', error => { problem ??= error.message })
  try {
    await client.ping()
  } catch (error) {
    return problem ?? error.message
  } finally {
    client.disconnect()
  }
}

/** URL of one that runs: what REDIS_URL says holds, whether it is true or not. */
export const runningRedis = REDIS_URL || (await problemOf(local) === undefined ? local : undefined)

export const withoutRedisServer = spawnSync('redis-server', ['--version']).status !== 0 && `redis-server is not in the PATH (${install})`

/** For tests that need a server: `false`, or why they do not run. In CI they fail, lest anybody miss them unawares. */
export const skipWithoutRedis = runningRedis === undefined && withoutRedisServer !== false && !isCI && `not run: there is no Redis (${install}, or set REDIS_URL)`

/** As `skipWithoutRedis`, for tests that kill and stop a server of their own. */
export const skipWithoutRedisServer = !isCI && withoutRedisServer !== false && `not run: ${withoutRedisServer}`
