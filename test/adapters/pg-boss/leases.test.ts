import t from 'tap'
import type { PgBossDelivery } from '../../../lib/adapters/pg-boss/delivery.ts'
import type { Engine } from '../../../lib/adapters/pg-boss/engine.ts'
import { Leases } from '../../../lib/adapters/pg-boss/leases.ts'

interface Held extends PgBossDelivery {
  readonly heard: string[]
}

function delivery (overAt?: number): Held {
  const heard: string[] = []
  const job = { id: 'one', abort: (reason: string) => heard.push(reason) }
  return { job, overAt, end: () => heard.push('ended'), heard } as unknown as Held
}

await t.test('a job that comes again while it runs here goes on in its second run only', t => {
  const leases = new Leases({ options: { lease: 10_000 } } as unknown as Engine, 'mails', () => {})
  t.teardown(() => leases.stop())
  const [first, recording, third] = [delivery(), delivery(1), delivery()]
  leases.hold(first)
  leases.hold(recording)
  t.strictSame(first.heard, ['ended', 'lost'])
  leases.hold(third)
  t.strictSame(recording.heard, [], 'one whose verdict is being recorded is left to it')
  leases.drop(recording)
  leases.cancel('one')
  t.strictSame(third.heard, ['cancelled'])
  t.end()
})
