import type { IRedisClient } from 'bullmq'
import type { Redis } from 'ioredis'
import type { Cancellation } from '../../../types/index.ts'

/** The field of a job that is to be cancelled. */
export const WISH = 'bgt:cancel'

/**
 * KEYS: job, delayed, prioritized, wait, paused, completed, events, lock. ARGV: id, now, result, channel, news, and
 * `taken` for a child that BullMQ could not remove.
 * A job that waits goes to the completed ones. On a child in a flow its parent depends: BullMQ has to remove it. And a
 * schedule goes on with the job that waits: only its end can end that. Of a job that runs the wish is kept with it,
 * for the worker that has it, or the next one; the message only says that there is one.
 */
const cancel = `
local call = redis.call
local function wish ()
  call('HSET', KEYS[1], '${WISH}', '1')
  call('PUBLISH', ARGV[4], ARGV[5])
  return 'running'
end
if call('EXISTS', KEYS[1]) == 0 then return 'not-found' end
if call('HEXISTS', KEYS[1], 'finishedOn') == 1 then return 'finished' end
if call('EXISTS', KEYS[8]) == 0 then
  if call('HEXISTS', KEYS[1], 'rjk') == 1 then return 'not-found' end
  if call('HEXISTS', KEYS[1], 'parentKey') == 1 then return ARGV[6] == 'taken' and wish() or 'child' end
end
local delayed = call('ZREM', KEYS[2], ARGV[1]) + call('ZREM', KEYS[3], ARGV[1])
local waiting = call('LREM', KEYS[4], 1, ARGV[1]) + call('LREM', KEYS[5], 1, ARGV[1])
if delayed + waiting == 0 then return wish() end
call('HSET', KEYS[1], 'returnvalue', ARGV[3], 'finishedOn', ARGV[2])
call('ZADD', KEYS[6], ARGV[2], ARGV[1])
local event = { 'event', 'completed', 'jobId', ARGV[1], 'returnvalue', ARGV[3], 'prev', 'waiting' }
call('XADD', KEYS[7], 'MAXLEN', '~', 10000, '*', unpack(event))
return 'cancelled'
`

/** KEYS: job, its lock, delayed. ARGV: id. State and fields of one moment. */
const inspect = `
local fields = redis.call('HGETALL', KEYS[1])
if redis.call('HEXISTS', KEYS[1], 'finishedOn') == 1 then
  return { redis.call('HEXISTS', KEYS[1], 'returnvalue') == 1 and 'completed' or 'failed', fields }
end
if redis.call('EXISTS', KEYS[2]) == 1 then return { 'running', fields } end
return { redis.call('ZSCORE', KEYS[3], ARGV[1]) and 'delayed' or 'waiting', fields }
`

export type Inspected = ['completed' | 'failed' | 'running' | 'delayed' | 'waiting', string[]]

export interface Scripts {
  bgtCancel (...args: (string | number)[]): Promise<Cancellation | 'child'>
  bgtInspect (...args: string[]): Promise<Inspected>
}

export function defineScripts (client: Redis): Scripts {
  client.defineCommand('bgtCancel', { numberOfKeys: 8, lua: cancel })
  client.defineCommand('bgtInspect', { numberOfKeys: 3, lua: inspect })
  return client as unknown as Scripts
}

/** Ends the id of a job that was stored before. Ids of jobs are UUIDs, or come from schedules. */
const KNOWN = '#known'

const addScript = /^add(Prioritized|Delayed)Job:/

/**
 * BullMQ's add scripts answer with the job's id, whether they stored it or found it. These run them whole,
 * but mark the id of a job that was there. ARGV[1] has the prefix of the keys, and the id.
 */
function telling (lua: string): string {
  return `
local readable, args = pcall(cmsgpack.unpack, ARGV[1])
local known = readable and type(args[1]) == 'string' and type(args[2]) == 'string'
  and redis.call('EXISTS', args[1] .. args[2]) == 1
local function add ()
${lua}
end
local id = add()
if known and type(id) == 'string' then return id .. '${KNOWN}' end
return id
`
}

export function isKnown (id: string): boolean {
  return id.endsWith(KNOWN)
}

/** The same client with telling scripts, by BullMQ's own interface for clients. Others keep theirs. */
export function tellKnownJobs (client: IRedisClient): IRedisClient {
  const defined = new Set<string>()
  const own: Partial<IRedisClient> = {
    defineCommand (name, { lua, ...definition }) {
      if (!addScript.test(name)) return client.defineCommand(name, { lua, ...definition })
      defined.add(name)
      client.defineCommand(`telling:${name}`, { lua: telling(lua), ...definition })
    },
    runCommand: (name, args) => client.runCommand(defined.has(name) ? `telling:${name}` : name, args)
  }
  return new Proxy(client, {
    get (target, key) {
      if (typeof key === 'string' && addScript.test(key)) return defined.has(key)
      return Reflect.get(key in own ? own : target, key) as unknown
    }
  })
}
