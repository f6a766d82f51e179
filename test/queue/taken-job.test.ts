import t from 'tap'
import { defineTask } from '../../lib/index.ts'
import { memory } from '../../lib/adapters/memory/index.ts'
import type { ActiveJob } from '../../types/index.ts'
import { makeApp } from '../helpers/app.ts'
import { dataOf } from '../helpers/job.ts'
import { becomes } from '../helpers/jobs.ts'
import { LogLines } from '../helpers/log-lines.ts'

const ok = { payload: undefined, version: 1, enqueuedAt: 0 }

/** What another program may have stored, or a hand, and what is wrong with it. */
const malformed: Record<string, [Partial<ActiveJob>, problem: string]> = {
  'no name': [{ task: '' }, 'it has no name of a task'],
  'a name with a control character': [{ task: 'plain\u001b[2J' }, 'the name of its task is not as defineTask takes it'],
  'a long name': [{ task: 'x'.repeat(129) }, 'the name of its task is not as defineTask takes it'],
  'no data': [{ data: undefined }, 'its data cannot be read'],
  null: [{ data: null }, 'data: Expected object'],
  text: [{ data: 'canary' }, 'data: Expected object'],
  'a list': [{ data: ['canary'] }, 'data: Expected object'],
  'an empty object': [{ data: {} }, 'data/version: Expected required property'],
  'no time': [{ data: { version: 1 } }, 'data/enqueuedAt: Expected required property'],
  'a version that is text': [{ data: { ...ok, version: 'canary' } }, 'data/version: Expected number'],
  'a time that is text': [{ data: { ...ok, enqueuedAt: 'canary' } }, 'data/enqueuedAt: Expected number'],
  'a delay that is text': [{ data: { ...ok, delay: 'canary' } }, 'data/delay: Expected number'],
  'a request id that is a number': [{ data: { ...ok, requestId: 1 } }, 'data/requestId: Expected string'],
  'trace headers that are text': [{ data: { ...ok, trace: 'canary' } }, 'data/trace: Expected object'],
  'a trace header that is a list': [{ data: { ...ok, trace: { baggage: ['canary'] } } }, 'data/trace/baggage: Expected string'],
  'an owner that is an object': [{ data: { ...ok, owner: { id: 'canary' } } }, 'data/owner: Expected string']
}

for (const [what, [change, problem]] of Object.entries(malformed)) {
  await t.test(`a job with ${what} fails, in one line, and the worker goes on`, async t => {
    const adapter = memory()
    const { work } = adapter
    adapter.work = (queue, run, options) => work.call(adapter, queue, job => run(dataOf(job).owner === 'other' ? { ...job, ...change } : job), options)
    const lines = new LogLines('trace')
    const ran: string[] = []
    const plain = defineTask({ name: 'plain', retry: 3, run: (_payload, { id }) => { ran.push(id) } })
    const app = await makeApp(t, { adapter, tasks: [plain] }, { logger: lines.logger })
    await app.ready()
    const worker = await app.backgroundTasks.work()
    const bad = await app.backgroundTasks.enqueue(plain, undefined, { owner: 'other' })
    const good = await app.backgroundTasks.enqueue(plain)
    const message = `The job ${bad.id} in queue "default" is not as fastify-background-tasks stores jobs: ${problem}`
    t.match(await becomes(app, bad.id, 'failed'), { attempts: 1, error: { code: 'FST_ERR_BGT_INVALID_JOB', message } })
    await becomes(app, good.id, 'completed')
    t.strictSame(ran, [good.id])
    t.match(worker.stats(), { failed: 1, completed: 1, running: 0 })
    const failed = lines.ofTasks.filter(({ level }) => level > 30)
    t.match(failed, [{ level: 50, msg: 'background task failed', taskId: bad.id, queue: 'default', err: { code: 'FST_ERR_BGT_INVALID_JOB' } }])
    t.equal(failed.length, 1)
    t.notMatch(JSON.stringify(lines.all), /canary|\\u001b|x{129}/)
  })
}
