import { setTimeout } from 'node:timers/promises'
import type { FastifyReply, FastifyRequest } from 'fastify'
import t from 'tap'
import type { Ending } from '../../types/index.ts'
import { became, Flow } from '../helpers/flow.ts'
import { latch } from '../helpers/latch.ts'

await t.test('after reply.send()', async t => {
  const flow = await Flow.make(t)
  flow.app.get('/', (request, reply) => {
    void reply.send('sent')
    flow.add(request)
  })
  await fetch(await flow.listen())
  await flow.ended(became('answered'))
})

await t.test('from a task: at the end of the lane', async t => {
  const flow = await Flow.make(t)
  flow.app.get('/', request => {
    flow.addOne(request, 'first', 'always', () => flow.addOne(request, 'third', 'always', async () => {
      await setTimeout(1)
      flow.addOne(request, 'fourth')
    }))
    flow.addOne(request, 'second')
    return 'answer'
  })
  await fetch(await flow.listen())
  await flow.ended(['first', 'second', 'third', 'fourth'])
})

await t.test('while a task of the request runs: behind it', async t => {
  const flow = await Flow.make(t)
  const [running, finish] = [latch(), latch()]
  const order: string[] = []
  let late!: () => void
  flow.app.get('/', request => {
    flow.addOne(request, 'slow', 'always', async () => {
      running.open()
      await finish.opened
      order.push('slow has ended')
    })
    late = () => flow.addOne(request, 'late', 'always', () => order.push('late has started'))
    return 'answer'
  })
  await fetch(await flow.listen())
  await running.opened
  late()
  await setTimeout(5) // in which it could start
  t.match(flow.app.backgroundTasks.stats(), { running: 1, pending: 1 })
  finish.open()
  await flow.ended(['slow', 'late'])
  t.strictSame(order, ['slow has ended', 'late has started'])
})

const endings: Record<Ending, (reply: FastifyReply) => unknown> = {
  answered: () => 'answer',
  errored: () => { throw new Error('expected') },
  unanswered: reply => {
    reply.raw.destroy()
    return new Promise(() => {})
  }
}

for (const [ending, respond] of Object.entries(endings)) {
  for (const first of [true, false]) {
    await t.test(`${first ? 'first add' : 'add'} when the response is over: ${ending}`, async t => {
      const flow = await Flow.make(t, { abortGrace: 0 })
      let kept!: FastifyRequest
      flow.app.get('/', async (request, reply) => {
        kept = request
        if (!first) flow.add(request, 'early ')
        return respond(reply)
      })
      await fetch(await flow.listen()).catch(() => {})
      await flow.untilGone()
      if (!first) await flow.app.backgroundTasks.idle()
      flow.add(kept, 'late ')
      const expected = became(ending as Ending, 'late ')
      await flow.ended(first ? expected : [...became(ending as Ending, 'early '), ...expected])
    })
  }
}

await t.test('after handlerTimeout has answered', async t => {
  const flow = await Flow.make(t)
  const answered = latch()
  const added = latch()
  flow.app.get('/', { handlerTimeout: 20 }, async request => {
    flow.add(request, 'early ')
    await answered.opened
    flow.add(request, 'late ')
    added.open()
    return 'too late'
  })
  const response = await fetch(await flow.listen())
  t.match(await response.json(), { statusCode: 503, code: 'FST_ERR_HANDLER_TIMEOUT' })
  await flow.app.backgroundTasks.idle()
  answered.open()
  await added.opened
  await flow.ended([...became('errored', 'early '), ...became('errored', 'late ')])
})

await t.test('first add after handlerTimeout has answered', async t => {
  const flow = await Flow.make(t)
  const answered = latch()
  const added = latch()
  flow.app.get('/', { handlerTimeout: 20 }, async request => {
    await answered.opened
    flow.add(request)
    added.open()
    throw new Error('too late')
  })
  t.equal((await fetch(await flow.listen())).status, 503)
  await flow.untilGone()
  answered.open()
  await added.opened
  await flow.ended(became('errored'))
})

await t.test('from a hook of a task that is skipped', async t => {
  const flow = await Flow.make(t)
  flow.app.get('/', request => {
    request.backgroundTasks.add({
      when: 'error',
      hooks: { onTaskSkipped: () => flow.add(request, 'late ') }
    }, () => t.fail('never runs'))
    flow.addOne(request, 'early')
    return 'answer'
  })
  await fetch(await flow.listen())
  await flow.app.backgroundTasks.idle()
  t.match(flow.app.backgroundTasks.stats(), { added: 5, completed: 3, skipped: 2 })
})

await t.test('when the server has closed: lost', async t => {
  const flow = await Flow.make(t)
  let kept!: FastifyRequest
  flow.app.get('/', request => {
    kept = request
    flow.add(request, 'early ')
    return 'answer'
  })
  await fetch(await flow.listen())
  await flow.app.close()
  const handle = kept.backgroundTasks.add(() => t.fail('never runs'))
  t.match(await handle.settled, { state: 'lost', reason: 'closed', error: { code: 'FST_ERR_BGT_CLOSED' } })
  t.match(flow.app.backgroundTasks.stats(), { added: 4, completed: 2, skipped: 1, lost: 1 })
})
