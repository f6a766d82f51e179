import t, { type Test } from 'tap'
import type { Stats } from '../../types/index.ts'
import { build } from '../helpers/build.ts'
import { Child } from '../helpers/child.ts'
import { load } from '../helpers/load.ts'

build()

interface Report {
  accepted: number[]
  added: number
  started: number
  ended: number
  held: number
  runningAtClose: number
  events: string[]
  lost: string[]
  stats: Stats
}

class Server {
  readonly child: Child

  constructor (child: Child) {
    this.child = child
  }

  async port (): Promise<number> {
    const [, port] = await this.child.line(/^\{"port":(\d+)\}$/)
    return Number(port)
  }

  /** What it says of itself at its very end. */
  async report (): Promise<Report> {
    const [line] = await this.child.line(/^\{"accepted".*/)
    return JSON.parse(line) as Report
  }
}

type Start = (t: Test, env?: NodeJS.ProcessEnv) => Server

const starts: Record<string, Start> = {
  'close-with-grace': (t, env) => new Server(new Child(t, 'test/fixtures/server.js', [], env)),
  // Its own grace is 500 ms, and then it kills.
  'fastify start': (t, env) => new Server(new Child(t, 'node_modules/fastify-cli/cli.js',
    ['start', '--address', '127.0.0.1', '--close-grace-delay', '20000', 'test/fixtures/app.js'], { PORT: '0', ...env }))
}

for (const [name, start] of Object.entries(starts)) {
  await t.test(`${name}: SIGTERM under load`, async t => {
    const server = start(t)
    const { child } = server
    const { answered, cut, refused, unanswered } = await load(await server.port(), 20, count => {
      if (count === 400) child.terminate()
    })
    t.strictSame(await child.exit, { code: 0, signal: null })
    const report = await server.report()
    t.comment({ answered: answered.length, refused: refused.length, unanswered: unanswered.length, ...report, accepted: report.accepted.length })

    t.strictSame(cut, [], 'no answer broke off')
    t.strictSame(answered.toSorted(byNumber), report.accepted.toSorted(byNumber), 'each request that reached its handler was answered, and no other')
    t.ok(answered.length > 400, 'some of them after the signal')

    t.ok(report.held > 0 && report.runningAtClose >= report.held, 'tasks were running when it closed')
    t.equal(report.ended, report.added, 'each task ran to its end, with the connection still open')
    t.equal(report.started, report.added, 'once')
    t.match(report.stats, { added: report.added, completed: report.added, pending: 0, running: 0, failed: 0, skipped: 0, lost: 0 })
    t.strictSame(report.events, ['onStartup', 'listening', 'onShutdown', 'connection closed'])
  })

  await t.test(`${name}: SIGTERM with tasks that do not end`, async t => {
    const server = start(t, { DRAIN_TIMEOUT: '1000' })
    const port = await server.port()
    for (const path of ['stuck', 'obedient']) await fetch(`http://127.0.0.1:${port}/${path}`, { method: 'POST' })
    server.child.terminate()
    t.strictSame(await server.child.exit, { code: 0, signal: null })
    const report = await server.report()
    t.strictSame(report.lost.toSorted(), ['never started shutdown', 'obedient shutdown', 'stuck shutdown'])
    t.strictSame([report.added, report.started, report.ended], [3, 2, 0])
    t.match(report.stats, { added: 3, lost: 3, pending: 0, running: 0, abandoned: 1 })
    t.strictSame(report.events, ['onStartup', 'listening', 'onShutdown', 'connection closed'])
  })
}

function byNumber (a: number, b: number): number {
  return a - b
}
