import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import type { TaskHandle } from '../../types/index.ts'
import { makeApp } from '../helpers/app.ts'
import { latch } from '../helpers/latch.ts'

await t.test('the tasks of a request run one after the other, in the order they were added', async t => {
  const app = await makeApp(t)
  const events: string[] = []
  app.get('/', request => {
    for (const [index, turns] of [5, 1, 0, 3].entries()) {
      request.backgroundTasks.add(async () => {
        events.push(`start ${index}`)
        for (let n = 0; n < turns; n++) await setImmediate()
        events.push(`end ${index}`)
      })
    }
    return 'answered'
  })
  await app.inject('/')
  await app.backgroundTasks.idle()
  t.same(events, ['start 0', 'end 0', 'start 1', 'end 1', 'start 2', 'end 2', 'start 3', 'end 3'])
})

await t.test('requests take turns, whichever came first and however many tasks it has', async t => {
  const app = await makeApp(t, { concurrency: 1 })
  const ran: string[] = []
  app.get<{ Params: { name: string, count: number } }>('/:name/:count', ({ params: { name, count }, backgroundTasks }) => {
    for (let n = 1; n <= count; n++) backgroundTasks.add(() => { ran.push(name + n) })
    return 'answered'
  })
  const free = latch()
  app.backgroundTasks.add(() => free.opened)
  await app.inject('/a/4')
  await app.inject('/b/2')
  await app.inject('/c/1')
  free.open()
  await app.backgroundTasks.idle()
  t.same(ran, ['a1', 'b1', 'c1', 'a2', 'b2', 'a3', 'a4'])
})

await t.test('a request whose task waits does not hold up the others', async t => {
  const app = await makeApp(t, { concurrency: 2 })
  const free = latch()
  let handle: TaskHandle | undefined
  app.get('/slow', request => {
    request.backgroundTasks.add(() => free.opened)
    handle = request.backgroundTasks.add(() => {})
    return 'answered'
  })
  const quick = latch()
  app.get('/quick', request => {
    request.backgroundTasks.add(() => quick.open())
    return 'answered'
  })
  await app.inject('/slow')
  await app.inject('/quick')
  await quick.opened
  t.equal(handle?.state, 'pending')
  free.open()
  await app.backgroundTasks.idle()
})

await t.test('as many tasks as concurrency says run at once, and never more', async t => {
  const app = await makeApp(t, { concurrency: 3 })
  let running = 0
  let most = 0
  for (let n = 0; n < 20; n++) {
    app.backgroundTasks.add(async () => {
      most = Math.max(most, ++running)
      for (let turn = 0; turn < n % 4; turn++) await setImmediate()
      running--
    })
  }
  await app.backgroundTasks.idle()
  t.equal(most, 3)
})

await t.test('concurrency 1 runs one task at a time over all requests', async t => {
  const app = await makeApp(t, { concurrency: 1 })
  let running = 0
  app.get('/', request => {
    for (let n = 0; n < 3; n++) {
      request.backgroundTasks.add(async () => {
        t.equal(++running, 1)
        await setImmediate()
        running--
      })
    }
    return 'answered'
  })
  await Promise.all(Array.from({ length: 4 }, () => app.inject('/')))
  await app.backgroundTasks.idle()
  t.equal(app.backgroundTasks.stats().completed, 12)
})

await t.test('tasks outside of requests do not wait for one another', async t => {
  const app = await makeApp(t)
  const both = latch()
  let running = 0
  const run = () => {
    if (++running === 2) both.open()
    return both.opened
  }
  const handles = [app.backgroundTasks.add(run), app.backgroundTasks.add(run)]
  await Promise.all(handles.map(({ settled }) => settled))
  t.same(handles.map(({ state }) => state), ['completed', 'completed'])
})

await t.test('a task may add to its own request, at the end', async t => {
  const app = await makeApp(t)
  const ran: string[] = []
  app.get('/', request => {
    request.backgroundTasks.add(() => {
      ran.push('first')
      request.backgroundTasks.add(() => {
        ran.push('third')
        request.backgroundTasks.add(() => { ran.push('fourth') })
      })
    })
    request.backgroundTasks.add(() => { ran.push('second') })
    return 'answered'
  })
  await app.inject('/')
  await app.backgroundTasks.idle()
  t.same(ran, ['first', 'second', 'third', 'fourth'])
})

await t.test('a task may add to the app, synchronously and later', async t => {
  const app = await makeApp(t, { concurrency: 1 })
  const ran: string[] = []
  app.backgroundTasks.add(async () => {
    app.backgroundTasks.add(() => { ran.push('first') })
    await setImmediate()
    app.backgroundTasks.add(() => { ran.push('second') })
  })
  await app.backgroundTasks.idle()
  t.same(ran, ['first', 'second'])
})

await t.test('a request may add again long after all its tasks have ended', async t => {
  const app = await makeApp(t)
  const add = latch<() => TaskHandle>()
  app.get('/', request => {
    request.backgroundTasks.add(() => {})
    add.open(() => request.backgroundTasks.add(() => 'late'))
    return 'answered'
  })
  await app.inject('/')
  await app.backgroundTasks.idle()
  t.hasStrict(await (await add.opened)().settled, { state: 'completed', result: 'late' })
})

await t.test('thousands of tasks all run', async t => {
  const app = await makeApp(t, { concurrency: 10 })
  let ran = 0
  app.get('/', request => {
    for (let n = 0; n < 3_000; n++) request.backgroundTasks.add(n % 2 ? () => Promise.resolve(ran++) : () => ran++)
    return 'answered'
  })
  await Promise.all([app.inject('/'), app.inject('/')])
  for (let n = 0; n < 3_000; n++) app.backgroundTasks.add(() => Promise.resolve(ran++))
  await app.backgroundTasks.idle()
  t.equal(ran, 9_000)
  t.match(app.backgroundTasks.stats(), { added: 9_000, completed: 9_000, pending: 0, running: 0 })
})
