import { createHash } from 'node:crypto'
import type { TaskInfo } from '../../types/index.ts'
import { isOpen, type TaskStatus } from './schemas.ts'
/** Seconds */
const LONGEST = 60

/** The body of a status. It has no more of an error than may be shown, and times as people read them. */
export function viewOf ({ id, task, state, attempts, error, ...info }: TaskInfo): TaskStatus {
  return {
    taskId: id,
    task,
    state,
    attempts,
    ...(info.progress !== undefined && { progress: info.progress }),
    ...(info.result !== undefined && { result: info.result }),
    ...(error !== undefined && { error: failureOf(error) }),
    enqueuedAt: timeOf(info.enqueuedAt),
    ...(info.startedAt !== undefined && { startedAt: timeOf(info.startedAt) }),
    ...(info.endedAt !== undefined && { endedAt: timeOf(info.endedAt) })
  }
}

function failureOf ({ name, message, code }: NonNullable<TaskInfo['error']>): TaskStatus['error'] & object {
  return { name, message, ...(code !== undefined && { code }) }
}

function timeOf (ms: number): string {
  return new Date(ms).toISOString()
}

/** Weak, as a proxy may compress the body. */
export function etagOf (body: TaskStatus): string {
  return `W/"${createHash('sha256').update(JSON.stringify(body)).digest('base64url')}"`
}

/** Whether the client has what this ETag stands for, by the weak comparison of RFC 9110. */
export function isFresh (ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false
  const bare = (tag: string): string => tag.trim().replace(/^W\//, '')
  return ifNoneMatch.trim() === '*' || ifNoneMatch.split(',').some(tag => bare(tag) === bare(etag))
}

/** Seconds until it is worth asking again, a tenth of what it has taken so far. `undefined` for one that has ended. */
export function retryAfter ({ state, enqueuedAt }: TaskInfo): number | undefined {
  if (!isOpen[state]) return undefined
  const tenth = Math.round((Date.now() - enqueuedAt) / 10_000)
  return Math.min(Math.max(tenth, 1), LONGEST)
}
