import t from 'tap'
import { toJobInfo } from '../../../lib/adapters/kit/job-info.ts'

await t.test('leaves out what is not known, and null is known', t => {
  const known = { id: 'one', task: 'welcome', queue: 'mail', state: 'completed', attempts: 1, enqueuedAt: 0, result: null } as const
  const unknown = { progress: undefined, error: undefined, startedAt: undefined, endedAt: undefined }
  t.strictSame(toJobInfo({ ...known, ...unknown }), known)
  t.end()
})
