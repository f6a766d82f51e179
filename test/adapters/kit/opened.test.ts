import t from 'tap'
import { Opened } from '../../../lib/adapters/kit/opened.ts'
import { unavailableOf } from '../../../lib/unavailable.ts'
import type { Health } from '../../../types/index.ts'

const healthy: Health = { ok: true, warnings: [] }

function refused (problem: string): { code: string, ambiguous: boolean, message: RegExp } {
  return { code: 'FST_ERR_BGT_QUEUE_UNAVAILABLE', ambiguous: false, message: new RegExp(`${problem}$`) }
}

await t.test('an engine is there from the start until the close', async t => {
  const opened = new Opened<string>(unavailableOf('engine'))
  t.throws(() => opened.engine, refused('it was not started'))
  t.strictSame(await opened.health(async () => healthy), { ok: false, warnings: [], error: 'it was not started' })
  opened.closing()
  t.throws(() => opened.engine, refused('it was not started'))

  t.equal(opened.start('an engine'), true)
  t.equal(opened.engine, 'an engine')
  t.equal(opened.engineForWork, 'an engine')
  t.equal(await opened.health(async () => healthy), healthy)
  t.match(await opened.health(() => Promise.reject(new Error('of a full disk'))), { ok: false, error: 'The queue behind "engine" did not answer: see its cause' })

  opened.closing()
  t.equal(opened.engine, 'an engine')
  t.throws(() => opened.engineForWork, refused('it is closing'))

  t.equal(opened.close(), 'an engine')
  t.equal(opened.close(), undefined)
  t.equal(opened.current, undefined)
  t.throws(() => opened.engine, refused('it is closed'))
  t.throws(() => opened.engineForWork, refused('it is closed'))
  t.match(await opened.health(async () => healthy), { ok: false, error: 'it is closed' })
})

await t.test('an adapter that was closed while it started', t => {
  const opened = new Opened<string>(unavailableOf('engine'))
  opened.close()
  t.equal(opened.start('an engine'), false)
  t.throws(() => opened.engine, refused('it is closed'))
  t.end()
})
