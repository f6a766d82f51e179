import t, { type Test } from 'tap'
import { became, Flow } from '../helpers/flow.ts'
import { latch } from '../helpers/latch.ts'
import { get, post } from '../helpers/raw-client.ts'
import { fakeTimers, turns } from '../helpers/timers.ts'

const GRACE = 60_000

const requests = { GET: get('/'), 'POST with a consumed body': post('/', { some: 'body' }) }

/** What had been done with `request.backgroundTasks` before the grace was over. */
type Before = 'tasks were added' | 'it was read' | 'nothing'

const befores: Before[] = ['tasks were added', 'it was read', 'nothing']

interface Late {
  readonly flow: Flow
  /** Of the tasks that were added before, which the grace has settled. */
  readonly early: string[][]
  /** By what the function does. */
  readonly answer: (respond: () => unknown) => void
  passGrace (): Promise<void>
}

/** The client leaves, the grace passes, and then the handler adds tasks. It answers as the test says. */
async function addLate (t: Test, request: string, before: Before): Promise<Late> {
  const timers = fakeTimers(t)
  const flow = await Flow.make(t, { abortGrace: GRACE })
  const [goOn, added, answer] = [latch(), latch(), latch<() => unknown>()]
  flow.app.addHook('preHandler', (request, _reply, done) => {
    if (before === 'it was read') void request.backgroundTasks
    done()
  })
  flow.app.route({
    method: ['GET', 'POST'],
    url: '/',
    handler: async request => {
      if (before === 'tasks were added') flow.add(request, 'early ')
      await flow.untilGone()
      await goOn.opened
      flow.add(request, 'late ')
      added.open()
      const respond = await answer.opened
      return respond()
    }
  })
  const passGrace = async (): Promise<void> => {
    timers.tick(GRACE)
    await turns()
  }
  await flow.abort(request)
  await flow.untilGone()
  await turns()
  await passGrace()
  const early = before === 'tasks were added' ? became('unanswered', 'early ') : []
  t.match(flow.app.backgroundTasks.stats(), { added: early.length, pending: 0 }, 'the grace has settled what was there')
  goOn.open()
  await added.opened
  await turns()
  t.match(flow.app.backgroundTasks.stats(), { added: early.length + 3, pending: 3 }, 'what is added now waits for the answer')
  return { flow, early: [early], answer: answer.open, passGrace }
}

function joined ([early]: string[][], late: string[]): string[] {
  return [...early!, ...late]
}

for (const [method, request] of Object.entries(requests)) {
  for (const before of befores) {
    await t.test(`${method}: ${before} before the grace was over, tasks are added after it, and then the handler`, async t => {
      await t.test('answers', async t => {
        const { flow, early, answer } = await addLate(t, request, before)
        answer(() => 'late')
        await flow.ended(joined(early, became('answered', 'late ')))
      })

      await t.test('throws', async t => {
        const { flow, early, answer } = await addLate(t, request, before)
        answer(() => { throw new Error('expected') })
        await flow.ended(joined(early, became('errored', 'late ')))
      })

      await t.test('does not answer within another grace', async t => {
        const { flow, early, answer, passGrace } = await addLate(t, request, before)
        await passGrace()
        await flow.ended(joined(early, became('unanswered', 'late ')))
        answer(() => 'too late')
        await turns()
        await flow.ended(joined(early, became('unanswered', 'late ')))
      })
    })
  }
}

await t.test('it adds again and again, a grace later each time, and is judged when it answers', async t => {
  const timers = fakeTimers(t)
  const flow = await Flow.make(t, { abortGrace: GRACE })
  const steps = Array.from({ length: 4 }, () => latch())
  let count = 0
  flow.app.get('/', async request => {
    await flow.untilGone()
    for (const step of steps) {
      await step.opened
      flow.add(request, `${count++} `)
    }
    return 'late'
  })
  await flow.abort(get('/'))
  await flow.untilGone()
  for (const step of steps.slice(0, 3)) {
    await turns()
    timers.tick(GRACE)
    step.open()
  }
  await turns()
  timers.tick(GRACE - 1)
  steps[3]!.open()
  await flow.ended([
    ...became('unanswered', '0 '),
    ...became('unanswered', '1 '),
    ...became('answered', '2 ', '3 ')
  ])
})

await t.test('it has answered, and adds only then', async t => {
  const timers = fakeTimers(t)
  const flow = await Flow.make(t, { abortGrace: GRACE })
  const [goOn, added] = [latch(), latch()]
  flow.app.get('/', async (request, reply) => {
    flow.add(request, 'early ')
    await flow.untilGone()
    await goOn.opened
    await reply.send('late')
    flow.add(request, 'late ')
    added.open()
  })
  await flow.abort(get('/'))
  await flow.untilGone()
  await turns()
  timers.tick(GRACE)
  await turns()
  goOn.open()
  await added.opened
  await flow.ended([...became('unanswered', 'early '), ...became('answered', 'late ')])
})

await t.test('tasks for any ending, which run since the grace, are not disturbed', async t => {
  const timers = fakeTimers(t)
  const flow = await Flow.make(t, { abortGrace: GRACE })
  const [goOn, added, answer, running, end] = [latch(), latch(), latch<string>(), latch(), latch()]
  flow.app.get('/', async request => {
    flow.addOne(request, 'slow', 'always', () => {
      running.open()
      return end.opened
    })
    flow.addOne(request, 'behind it', 'always')
    await flow.untilGone()
    await goOn.opened
    flow.addOne(request, 'late', 'success')
    added.open()
    return await answer.opened
  })
  await flow.abort(get('/'))
  await flow.untilGone()
  await turns()
  timers.tick(GRACE)
  await running.opened
  goOn.open()
  await added.opened
  await turns()
  t.match(flow.app.backgroundTasks.stats(), { running: 1, pending: 2 })
  answer.open('late')
  await turns()
  t.match(flow.app.backgroundTasks.stats(), { running: 1, pending: 1 }, 'it need not wait for those')
  end.open()
  await flow.ended(['slow', 'late', 'behind it'])
})

await t.test('a hook of a task that the grace skips may add others', async t => {
  const timers = fakeTimers(t)
  const flow = await Flow.make(t, { abortGrace: GRACE })
  flow.app.get('/', request => {
    request.backgroundTasks.add({ when: 'success', hooks: { onTaskSkipped: () => flow.addOne(request, 'of the hook') } }, () => t.fail('ran'))
    flow.addOne(request, 'early')
    void flow.untilGone()
    return new Promise(() => {})
  })
  await flow.abort(get('/'))
  await flow.untilGone()
  await turns()
  timers.tick(GRACE)
  await turns()
  t.match(flow.app.backgroundTasks.stats(), { added: 3, skipped: 1, completed: 1, pending: 1 }, 'the others of the request run')
  timers.tick(GRACE)
  await turns()
  t.match(flow.app.backgroundTasks.stats(), { added: 3, skipped: 1, completed: 2, pending: 0 })
})
