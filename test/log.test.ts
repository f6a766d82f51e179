import { once } from 'node:events'
import type { FastifyBaseLogger } from 'fastify'
import t from 'tap'
import { writeLine } from '../lib/log.ts'

type Line = [fields: Record<string, unknown>, message: string]

/** A logger that throws at so many lines. */
function makeLogger (faults: number): { log: FastifyBaseLogger, lines: Line[] } {
  const lines: Line[] = []
  const warn = (...line: Line): void => {
    if (faults-- > 0) throw new Error('no room on the disk')
    lines.push(line)
  }
  return { log: { warn } as unknown as FastifyBaseLogger, lines }
}

await t.test('a line is written as it is', t => {
  const { log, lines } = makeLogger(0)
  const err = new Error('no')
  writeLine(log, 'warn', { err, task: 'mail' }, 'something')
  t.strictSame(lines, [[{ err, task: 'mail' }, 'something']])
  t.equal(lines[0]![0]['err'], err)
  t.end()
})

await t.test('where the logger throws, the line is written again with what can be read', t => {
  const { log, lines } = makeLogger(1)
  writeLine(log, 'warn', { err: Object.assign(new TypeError('no'), { code: 'E_NO', secret: 'hunter2' }), task: 'mail' }, 'something')
  const { log: other, lines: others } = makeLogger(1)
  writeLine(other, 'warn', { jobs: 3 }, 'something')
  t.match(lines, [[{ err: { name: 'TypeError', message: 'no', code: 'E_NO', secret: undefined }, task: 'mail' }, 'something']])
  t.match(others, [[{ jobs: 3, err: undefined }, 'something']])
  t.end()
})

const told: [fields: Parameters<typeof writeLine>[2], message: string][] = [
  [{ task: 'mail', taskId: '7' }, 'The logger threw at the line "something" about task "mail" (7)'],
  [{ err: new Error('no') }, 'The logger threw at the line "something"']
]

for (const [fields, message] of told) {
  await t.test(`where it throws again, the process warns: ${message}`, async t => {
    const { log } = makeLogger(2)
    const warned = once(process, 'warning')
    writeLine(log, 'warn', fields, 'something')
    const [warning] = await warned as [Error]
    t.strictSame([warning.name, warning.message], ['FastifyBackgroundTasksWarning', message])
  })
}
