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
