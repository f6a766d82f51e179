import t from 'tap'
import { WakeUp } from '../../../lib/adapters/kit/wake-up.ts'

await t.test('a sleep lasts its time, or until it is woken', async t => {
  const wakeUp = new WakeUp()
  const began = performance.now()
  await wakeUp.sleep(10)
  t.ok(performance.now() - began > 8)
  const sleeping = wakeUp.sleep(60_000)
  wakeUp.wake()
  await sleeping
  wakeUp.wake()
  await wakeUp.sleep(60_000)
  t.ok(performance.now() - began < 10_000, 'also before it begins')
})
