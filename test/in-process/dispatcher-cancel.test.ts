import t from 'tap'
import type { TaskHandle } from '../../types/index.ts'
import { makeApp } from '../helpers/app.ts'
import { latch } from '../helpers/latch.ts'
import { fakeTimers, turns } from '../helpers/timers.ts'

await t.test('cancelling a task whose wait for its retry is over, but not that for room, holds up nobody', async t => {
  const timers = fakeTimers(t)
  const app = await makeApp(t, { concurrency: 1 })
  const blocked = latch()
  const ran: string[] = []

  const retried = app.backgroundTasks.add({ retry: { delay: 10 } }, () => { throw new Error('once more') })
  await turns()
  app.backgroundTasks.add(() => blocked.opened)
  await turns()
  timers.tick(10)
  for (const name of ['first', 'second']) app.backgroundTasks.add(() => ran.push(name))
  t.equal(retried.state, 'retrying')
  t.equal(retried.cancel(), 'cancelled')
  app.backgroundTasks.add(() => ran.push('third'))

  blocked.open()
  await turns()
  t.strictSame(ran, ['first', 'second', 'third'])
})

await t.test('cancelling a task behind one that waits for its retry does not end that wait', async t => {
  const timers = fakeTimers(t)
  const app = await makeApp(t)
  const handles: TaskHandle[] = []
  let attempts = 0
  app.get('/', request => {
    handles.push(
      request.backgroundTasks.add({ retry: { delay: 10 } }, () => { if (++attempts === 1) throw new Error('once more') }),
      request.backgroundTasks.add(() => t.fail('cancelled'))
    )
    return 'answered'
  })
  await app.inject('/')
  await turns()
  t.equal(handles[1]!.cancel(), 'cancelled')
  await turns()
  t.equal(attempts, 1)
  timers.tick(10)
  await app.backgroundTasks.idle()
  t.equal(attempts, 2)
})
