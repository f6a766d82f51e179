import { pino } from 'pino'
import t, { type Test } from 'tap'
import { TroubleLog } from '../../../lib/adapters/kit/trouble-log.ts'
import { LogLines } from '../../helpers/log-lines.ts'

function start (): { log: TroubleLog, lines: LogLines } {
  const lines = new LogLines('info')
  return { log: new TroubleLog(pino({ level: 'info' }, lines.logger.stream), 'engine'), lines }
}

/** The clock that tells how long a trouble has been cured. */
function clock (t: Test): { now: number } {
  const time = { now: 0 }
  t.intercept(performance, 'now', { value: () => time.now })
  return time
}

await t.test('lines begin alike, and say what they are about', t => {
  const { log, lines } = start()
  log.info('of note')
  log.warn('odd', { queue: 'mail', task: 'welcome', taskId: 'one' })
  log.error('wrong', { err: new Error('no') })
  t.match(lines.all, [
    { level: 30, msg: 'background task queue: of note', adapter: 'engine' },
    { level: 40, msg: 'background task queue: odd', adapter: 'engine', queue: 'mail', task: 'welcome', taskId: 'one' },
    { level: 50, msg: 'background task queue: wrong', adapter: 'engine', err: { message: 'no' } }
  ])
  t.end()
})

await t.test('a job that was given up has the line of a task that failed', t => {
  const { log, lines } = start()
  log.givenUp({ queue: 'mail', task: 'welcome', taskId: 'one' }, 3)
  t.match(lines.all, [{ level: 50, msg: 'background task failed', task: 'welcome', err: { code: 'FST_ERR_BGT_STALLED' } }])
  t.end()
})

await t.test('each trouble is told once, and again after it was cured', t => {
  const time = clock(t)
  const { log, lines } = start()
  const told = (): (string | undefined)[] => lines.all.splice(0).map(({ msg }) => msg.slice('background task queue: '.length))
  const [one, other] = [new Error(`job ${crypto.randomUUID()} is odd`), new Error(`job ${crypto.randomUUID()} is odd`)]
  log.cured('better')
  log.trouble(one, 'bad')
  log.trouble(one, 'bad')
  log.trouble(other, 'bad')
  t.strictSame(told(), ['bad'], 'whichever job it names')
  log.trouble(new Error('down'), 'worse', {}, 'outage')
  log.cured('up', 'outage')
  log.cured('up', 'outage')
  t.strictSame(told(), ['worse', 'up'], 'troubles of one kind are cured')
  log.trouble(new Error('down'), 'worse', {}, 'outage')
  log.cured('up', 'outage')
  t.strictSame(told(), [], 'what comes and goes is told once in a while')
  time.now = 10_000
  log.trouble(new Error('down'), 'worse', {}, 'outage')
  log.cured('all is well')
  t.strictSame(told(), ['worse', 'all is well'])
  time.now = 20_000
  log.silence()
  log.trouble(one, 'bad')
  t.strictSame(told(), [])
  t.end()
})

await t.test('an engine\'s error is logged without what is secret, and so are its warnings, once', t => {
  const { log, lines } = start()
  const err = Object.assign(new Error('refused "canary"'), { command: { name: 'auth', args: ['canary'] }, detail: 'canary' })
  for (let times = 0; times < 2; times++) {
    log.trouble(err, 'trouble')
    log.quote('engine warns: slow query of "canary"')
  }
  log.warn('odd', { err })
  t.match(lines.all.map(({ msg }) => msg), ['background task queue: trouble', 'background task queue: engine warns: slow query of "…"', 'background task queue: odd'])
  t.equal(lines.all.length, 3)
  t.notMatch(JSON.stringify(lines.all), 'canary')
  t.end()
})

await t.test('of kinds of trouble a hundred are remembered', t => {
  const { log, lines } = start()
  for (let kind = 0; kind <= 100; kind++) log.trouble(new Error('no'), 'trouble', {}, `kind ${kind}`)
  log.trouble(new Error('no'), 'the latest again', {}, 'kind 100')
  t.equal(lines.all.length, 101)
  log.trouble(new Error('no'), 'the oldest again', {}, 'kind 0')
  t.equal(lines.all.length, 102)
  t.end()
})
