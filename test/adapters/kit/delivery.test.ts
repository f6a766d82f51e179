import t from 'tap'
import { Delivery, type Reason } from '../../../lib/adapters/kit/delivery.ts'
import { unavailableOf } from '../../../lib/unavailable.ts'
import type { JobData } from '../../../types/index.ts'

const data: JobData = { payload: 1, version: 1, enqueuedAt: 1 }

function deliver (): Delivery {
  const job = { id: 'one', queue: 'mail', task: 'welcome', data, attempt: 2, progress: () => Promise.resolve() }
  return new Delivery(job, unavailableOf('engine'))
}

await t.test('is the job, with a signal of its own', t => {
  const delivery = deliver()
  const { id, queue, task, attempt, signal } = delivery
  t.strictSame({ id, queue, task, attempt, data: delivery.data }, { id: 'one', queue: 'mail', task: 'welcome', attempt: 2, data })
  t.equal({ ...delivery }.signal, signal, 'also in a copy')
  t.equal(signal.aborted, false)
  t.end()
})

await t.test('says why its run is to end, once', t => {
  const messages: Record<Reason, string> = {
    cancelled: 'Task "welcome" was cancelled',
    lost: 'The queue behind "engine" did not answer: the lease ran out: this worker has lost the job one, which goes to another',
    closed: 'The queue behind "engine" did not answer: the worker has closed, and the job goes to another'
  }
  for (const [reason, message] of Object.entries(messages) as [Reason, string][]) {
    const delivery = deliver()
    delivery.abort(reason)
    delivery.abort('closed')
    t.match(delivery.signal, { aborted: true, reason: { message } })
  }
  t.end()
})
