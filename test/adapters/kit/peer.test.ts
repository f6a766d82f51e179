import t from 'tap'
import { importPeer } from '../../../lib/adapters/kit/peer.ts'

const engine = 'no-such-engine'

await t.test('a package that is there is imported', async t => {
  t.equal(typeof (await importPeer('engine', 'fastify', () => import('fastify'))).fastify, 'function')
})

await t.test('one that is not is an error with the command that installs it', async t => {
  await t.rejects(importPeer('engine', engine, () => import(engine)), {
    code: 'FST_ERR_BGT_MISSING_PEER',
    message: 'The adapter "engine" needs the package "no-such-engine": npm install no-such-engine'
  })
})

await t.test('what the package itself misses, or throws, stays as it is', async t => {
  await t.rejects(importPeer('engine', 'other', () => import(engine)), { message: /^Cannot find package 'no-such-engine'/ })
  const broken = new Error('engine: broken')
  t.equal(await importPeer('engine', engine, () => Promise.reject(broken)).catch((error: unknown) => error), broken)
})
