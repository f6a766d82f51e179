import t from 'tap'
import { cleanError, cleanText, wordFor } from '../lib/engine-error.ts'
import { FST_ERR_BGT_TIMEOUT } from '../lib/errors.ts'
import { unavailableOf } from '../lib/unavailable.ts'

/** As engines say it, and what is left of it. */
const messages: [said: string, left: string][] = [
  ['Command timed out', 'Command timed out'],
  ['Stream isn\'t writeable and enableOfflineQueue options is false', 'Stream isn\'t writeable and enableOfflineQueue options is false'],
  ['canceling statement due to statement timeout', 'canceling statement due to statement timeout'],
  ['READONLY You can\'t write against a read only replica.', 'READONLY You can\'t write against a read only replica.'],
  ['password authentication failed for user "canary"', 'password authentication failed for user "…"'],
  ['no pg_hba.conf entry for host "10.9.8.7", user "canary", database "canary", no encryption', 'no … entry for host "…", no encryption'],
  ['invalid input syntax for type json: "can"ary', 'invalid input syntax for type json: "…"ary'],
  ['a quote "that canary does not end', 'a quote "…"'],
  ['Relation »canary« existiert nicht', 'Relation "…" existiert nicht'],
  ['ERR unknown command \'EVALX\', with args beginning with: \'canary\' \'it\'s canary\' ', 'ERR unknown command \'…\' '],
  ['NOPERM User canary has no permissions to run the \'get\' command', 'NOPERM User … has no permissions to run the \'…\' command'],
  ['bad row {"card":"canary"} of [canary]', 'bad row {…}'],
  ['cannot reach redis://:canary@canary:6379/0 now', 'cannot reach … now'],
  ['cannot reach canary@canary now', 'cannot reach … now'],
  ['connect ECONNREFUSED 127.0.0.1:6379', 'connect ECONNREFUSED …'],
  ['connect to redis:6379 and ::1 and fe80::1:2', 'connect to … and … and …'],
  ['Host: db.canary.internal. is not in the cert\'s altnames', 'Host: …. is not in the cert\'s altnames'],
  ['\ud800', '\ufffd']
]

await t.test('of a message the details go', t => {
  for (const [said, left] of messages) t.equal(cleanText(said), left)
  t.equal(cleanText('x'.repeat(5_000)).length, 1_001)
  t.end()
})

await t.test('of an error name, code, message and frames are left, in a new one', t => {
  const command = { name: 'auth', args: ['canary'] }
  const error = Object.assign(new Error('WRONGPASS invalid username-password pair'), { name: 'ReplyError', command, detail: 'Failing row contains (canary)', code: 'X1', errno: -111 })
  const clean = cleanError(error)
  t.not(clean, error)
  t.strictSame(Object.keys(clean).sort(), ['code', 'name'])
  t.match(clean, { name: 'ReplyError', code: 'X1', message: error.message })
  t.match(clean.stack, /^ReplyError: WRONGPASS invalid username-password pair\n {4}at .*engine-error\.test/)
  t.equal(cleanError(Object.assign(new Error('a\n    at canary "canary'), { stack: 'Error: a\n    at one\ncanary' })).stack, 'Error: a\n    at canary "…"\n    at one')
  t.equal(cleanError(Object.assign(new Error('no'), { stack: undefined })).stack, 'Error: no')
  t.match(cleanError(Object.assign(new Error('no'), { name: 'a canary', code: 'a canary' })), { name: 'Error', code: undefined })
  t.end()
})

await t.test('an error of Node says what failed, and how', t => {
  const system = Object.assign(new Error('connect ECONNREFUSED 10.0.0.1:5432'), { code: 'ECONNREFUSED', syscall: 'connect', address: '10.0.0.1' })
  t.match(cleanError(system), { message: 'connect ECONNREFUSED', code: 'ECONNREFUSED', address: undefined })
  t.match(cleanError(Object.assign(new AggregateError([system]), { code: 'ECONNREFUSED' })), { message: 'ECONNREFUSED', errors: undefined })
  t.equal(cleanError(new Error('')).message, '')
  t.end()
})

await t.test('an error of ours stays as it is, and anything else is told as such', t => {
  const ours = new FST_ERR_BGT_TIMEOUT('mail', 5)
  t.equal(cleanError(ours), ours)
  t.match(cleanError('canary'), { message: 'a value that is not an Error' })
  const unreadable = Object.defineProperty(new Error('no'), 'message', { get () { throw new Error('unreadable') } })
  t.match(cleanError(unreadable), { message: 'an error that throws when it is read' })
  t.end()
})

await t.test('a client is told a word', t => {
  t.equal(wordFor(Object.assign(new Error('canary'), { code: '28P01' })), '28P01')
  t.equal(wordFor(Object.assign(new Error('READONLY canary'), { name: 'ReplyError' })), 'READONLY')
  t.equal(wordFor(Object.assign(new Error('canary'), { name: 'ReplyError' })), 'ReplyError')
  t.equal(wordFor(new Error('canary')), 'see its cause')
  t.equal(wordFor(Object.assign(new Error('canary'), { name: 'MaxRetriesPerRequestError' })), 'MaxRetriesPerRequestError')
  t.equal(wordFor(Object.assign(new Error('canary'), { errstr: 'database is locked', code: 'ERR_SQLITE_ERROR' })), 'database is locked')
  const error = unavailableOf('engine')({ cause: Object.assign(new Error('canary "canary"'), { code: 'E1', detail: 'canary' }) }, false)
  t.equal(error.message, 'The queue behind "engine" did not answer: E1')
  t.match(error.cause, { message: 'canary "…"', detail: undefined })
  t.end()
})
