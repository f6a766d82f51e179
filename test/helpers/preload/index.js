// tap loads this into every test file. Loaders cost each process a third of a second and more.
import { register } from 'node:module'
import processOnSpawn from 'process-on-spawn'

if (!process.features.typescript) register('./typescript.js', import.meta.url)

// Tap puts its own into all processes that tests start. Those without coverage need none.
processOnSpawn.addListener(({ env }) => {
  if (env._TAPJS_PROCESSINFO_COVERAGE_ === '0') env.NODE_OPTIONS = env.NODE_OPTIONS?.replaceAll(/\S*\/@tapjs\/\S*/g, '').trim()
})
