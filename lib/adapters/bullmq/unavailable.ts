import { isUnavailable, type MakeUnavailable, type Unavailable, unavailableOf } from '../../unavailable.ts'

export type { Unavailable }

/** What Redis answers, before it runs anything, when it takes no writes. Redis 6 has the word amid the message. */
const refusal = /\b(OOM|MISCONF|READONLY|LOADING|NOAUTH|NOPERM|MASTERDOWN|BUSY|NOREPLICAS)\b/

/** What ioredis says of a command that it did not send. */
const unsent = /^Stream isn't writeable/

export const unavailable: MakeUnavailable = unavailableOf('bullmq')

/** Of a command that failed. It may have been run all the same, unless the error says otherwise. */
export function asUnavailable (error: unknown): Unavailable {
  const { name, message } = error as Error
  const refused = name === 'ReplyError' && refusal.test(message)
  return isUnavailable(error) ? error : unavailable(message, !refused && !unsent.test(message), error)
}
