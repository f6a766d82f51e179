import t from 'tap'
import { closeAll, endInTime } from '../../../lib/adapters/kit/closing.ts'
import type { CloseOptions } from '../../../types/index.ts'

await t.test('waits as long as the grace, and without one as long as it takes', async t => {
  t.equal(await endInTime(new Promise(resolve => setTimeout(resolve, 5)), undefined), true)
  t.equal(await endInTime(Promise.resolve(), 60_000), true)
  t.equal(await endInTime(new Promise(() => {}), 5), false)
})

await t.test('closes all consumers with the same grace', async t => {
  const given: (CloseOptions | undefined)[] = []
  const consumer = { close: async (options?: CloseOptions) => { given.push(options) } }
  await closeAll([consumer, consumer], { grace: 5 })
  t.strictSame(given, [{ grace: 5 }, { grace: 5 }])
})
